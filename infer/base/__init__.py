"""What every room stands on: errors, talk, devices, cores, atomic files, threads beside."""

"""What every room stands on: errors, talk, devices, cores, atomic files, a thread ahead or aside."""

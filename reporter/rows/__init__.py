"""Files of scores → rows with columns of one name and type, as streams that can be read again."""

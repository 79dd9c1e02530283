"""The registered data sets, one small module each; a new module here needs no other edit."""

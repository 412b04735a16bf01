"""The ring: observe, decide, journal, act. Owns no process and no memory that matters."""

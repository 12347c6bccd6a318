"""The rules: pure, without input or output, clock or chance. Everything that is decided is decided here."""

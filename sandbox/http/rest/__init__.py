"""The REST API, a file for each family. Importing a file registers its routes; the server imports
them all.
"""

"""Defines the contract for import-linter that no module imports itself through others."""

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output


class AcyclicModulesContract(Contract):
    """Fails if an import between modules of the `packages` is part of a circle.

    The built-in `acyclic_siblings` compares whole packages: it also fails where packages use each other, but no module
    imports itself.
    """

    type_name = "acyclic_modules"
    packages = fields.ListField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Find the imports whose imported module leads back to the importing one."""
        packages = set(self.packages)  # type: ignore[call-overload]
        circles = [
            chain
            for module in sorted(graph.modules)
            if module.partition(".")[0] in packages
            for imported in sorted(graph.find_modules_directly_imported_by(module))
            if (chain := graph.find_shortest_chain(importer=imported, imported=module))
        ]
        return ContractCheck(kept=not circles, metadata={"circles": circles})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print one line for each import that is part of a circle."""
        for chain in check.metadata["circles"]:
            output.print_error(" -> ".join((chain[-1], *chain)), bold=False)
        output.new_line()

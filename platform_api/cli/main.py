"""The commands. Each imports what it needs when it is called, so that ``--help`` answers at once."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(
    help="Schedule Python and shell scripts for a whole company.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

Host = Annotated[str, typer.Option(help="The address the API listens on.")]
Port = Annotated[int, typer.Option(min=1, max=65535, help="The port the API listens on.")]
Pool = Annotated[str | None, typer.Option(help="The Prefect work pool; default: JOB_PLATFORM_WORK_POOL.")]
Gate = Annotated[bool, typer.Option("--gate", hidden=True, help="Load, then wait for a line on standard input.")]


@app.command()
def up(host: Host = "127.0.0.1", port: Port = 8080, pool: Pool = None) -> None:
    """Serve the whole platform on this machine: PostgreSQL, Prefect, a worker and the API."""
    from platform_api.cli.local import serve_platform

    raise typer.Exit(serve_platform(host, port, pool))


@app.command()
def demo(
    host: Host = "127.0.0.1",
    port: Port = 8080,
    leave: Annotated[bool, typer.Option("--exit", help="Stop after the sample run; 0 only if it succeeded.")] = False,
) -> None:
    """Serve the platform, create sample jobs through its REST API, run one and show its live log."""
    from platform_api.cli.local import serve_demo

    raise typer.Exit(serve_demo(host, port, leave=leave))


@app.command()
def migrate() -> None:
    """Bring the platform's database (JOB_PLATFORM_DATABASE_URL) to this release's schema."""
    from platform_api.cli.local import migrate_database

    migrate_database()


@app.command()
def api(host: Host = "127.0.0.1", port: Port = 8080, gate: Gate = False) -> None:
    """Serve the REST API; many of them may run beside each other."""
    from platform_api.cli.local import serve_api

    serve_api(host, port, gated=gate)


@app.command()
def worker(pool: Pool = None, gate: Gate = False) -> None:
    """Run jobs of one work pool; many workers may run beside each other."""
    from platform_api.cli.local import work

    work(pool, gated=gate)


@app.command()
def rotate_master_key() -> None:
    """Put the secrets in the database under a new master key, while everything runs on; may be killed and repeated."""
    from platform_api.cli.master_key import rotate_on_this_machine

    raise typer.Exit(rotate_on_this_machine())


audit = typer.Typer(help="The audit trail.", no_args_is_help=True)
app.add_typer(audit, name="audit")


@audit.command("verify")
def audit_verify(
    expect_head: Annotated[
        str | None, typer.Option(help="A head that an earlier check printed and that was kept elsewhere.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON document.")] = False,
) -> None:
    """Look for the first entry that was changed, deleted, moved or slipped in: 0 none, 1 found, 2 no answer."""
    from platform_api.cli.audit import verify_trail

    raise typer.Exit(verify_trail(expect_head, as_json=as_json))


def main() -> None:
    """The entry point ``job-platform``."""
    app()


if __name__ == "__main__":
    main()

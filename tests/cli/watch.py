"""Say what cameras, addresses or films show: `python watch.py BUNDLE SOURCE...`."""

import asyncio
import sys

import edgeprep


async def watch(session: edgeprep.Session, source: int | str) -> None:
    """Follow one source to its end; others are followed meanwhile."""
    with session.stream(source, timeout_s=5) as stream:
        async for answer in stream:
            print(f"{source}: {answer.time_s:.2f} s: {answer.result}")
        print(f"{source}: {stream.counts.answered} answered, {stream.counts.dropped} dropped")


async def main(bundle: str, *sources: str) -> None:
    """Follow all of them on one model."""
    with edgeprep.open(bundle) as session:
        found = [int(source) if source.isdecimal() else source for source in sources]
        await asyncio.gather(*(watch(session, source) for source in found))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

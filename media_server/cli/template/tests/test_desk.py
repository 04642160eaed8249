"""What the agent has to do, tried in real calls. Run it with:  pytest"""

from media_server.testing import Talk, ToolUse


async def test_the_desk_finds_an_order(talk: Talk) -> None:
    async with talk("desk") as desk:
        assert await desk.greeting() == "Hello! I am Mara. How can I help you?"
        reply = await desk.type("where is my order four two seven")
        assert reply.tools == [ToolUse("get_order_status", {"order_id": "427"}, {"status": "shipped"})]
        assert reply.text == "The status is shipped."


async def test_the_desk_says_what_it_does_not_find(talk: Talk) -> None:
    async with talk("desk") as desk:
        await desk.greeting()
        reply = await desk.type("where is my order nine nine nine")
        assert reply.tools[0].error == "not found"

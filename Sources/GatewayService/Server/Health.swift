import NIOCore

/// What `/healthcheck` says.
enum Health {
    /// A process without a chain connection of its own has one way of being well.
    static let gateway = Reply.ok(Reply.text, Body("Good!"), .health)

    /// The core's JSON, sent as text as the core does: a picture of its chain connection taken at start.
    ///
    /// - Parameter upSince: milliseconds since 1970.
    static func core(upSince: Int64) -> Reply {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("version")
        writer.string("3.3.5")
        writer.key("connected")
        writer.bool(true)
        writer.key("currentEndpoint")
        writer.string("wss://stand-in.invalid")
        writer.key("upSince")
        writer.number(Double(upSince))
        writer.endObject()
        return Reply.ok(Reply.text, writer.body(), .health)
    }
}

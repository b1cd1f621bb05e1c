import NIOCore

/// The page at every path that ends in a slash.
enum DocumentationPage {
    static let reply = Reply.ok(Reply.html, ByteBuffer(string: html), .page)

    /// A transparent pixel: the page needs no picture, but its path is part of the contract.
    static let icon = Reply.ok(
        "image/png",
        ByteBuffer(bytes: [
            0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A, 0x00, 0x00, 0x00, 0x0D, 0x49, 0x48, 0x44, 0x52, 0x00, 0x00,
            0x00, 0x01,
            0x00, 0x00, 0x00, 0x01, 0x08, 0x06, 0x00, 0x00, 0x00, 0x1F, 0x15, 0xC4, 0x89, 0x00, 0x00, 0x00, 0x0D, 0x49,
            0x44, 0x41,
            0x54, 0x78, 0x9C, 0x63, 0x00, 0x01, 0x00, 0x00, 0x05, 0x00, 0x01, 0x0D, 0x0A, 0x2D, 0xB4, 0x00, 0x00, 0x00,
            0x00, 0x49,
            0x45, 0x4E, 0x44, 0xAE, 0x42, 0x60, 0x82,
        ]), .page)

    private static let html: String = {
        let rows = Route.allCases.map { "<li><code>\($0.template)</code></li>" }.joined(separator: "\n")
        return """
            <!DOCTYPE html>
            <html lang="en">
            <head><meta charset="utf-8"><title>Gateway API</title><link rel="icon" href="/favicon.png"></head>
            <body>
            <h1>Gateway API</h1>
            <ul>
            \(rows)
            </ul>
            </body>
            </html>

            """
    }()
}

import CSwaggerUI

/// The page at every path that ends in a slash, and what it is made of.
///
/// The page carries the API's description in itself and lists every route without any script. Behind a balancer the next
/// request may go to another server; then the plain list is what one sees.
struct DocumentationPage: Sendable {
    let page: Reply
    private let files: [Substring: Reply]

    init(_ encoding: BodyEncoding) {
        page = Reply.ok(Reply.html, encoding.prepared(Body(Self.html())), .page)
        files = [
            "/openapi.json": .ok(Reply.json, encoding.prepared(Body(OpenAPIDescription.json)), .page),
            "/favicon.png": .ok("image/png", Self.icon, .page),
            "/swagger-ui/swagger-ui-bundle.js": .ok(
                "text/javascript; charset=utf-8", encoding.prepared(Self.script), .page),
            "/swagger-ui/swagger-ui.css": .ok("text/css; charset=utf-8", encoding.prepared(Self.style), .page),
        ]
    }

    /// The file at a path, nil when there is none.
    func file(_ path: Substring) -> Reply? { files[path] }

    private static let script = body(swagger_script)
    private static let style = body(swagger_style)
    private static let icon = body(swagger_icon)

    /// A file that is part of the program.
    private static func body(_ file: (UnsafeMutablePointer<Int>?) -> UnsafePointer<UInt8>?) -> Body {
        var count = 0
        let start = file(&count)
        return Body(UnsafeBufferPointer(start: start, count: count))
    }

    private static func html() -> String {
        var list = ""
        for tag in RouteDescription.Tag.allCases {
            list += "<h2>\(tag.rawValue)</h2>\n<dl>\n"
            for route in Route.allCases where RouteDescription.of(route).tag == tag {
                list += "<dt><code>GET \(OpenAPIDescription.path(route))</code></dt>"
                list += "<dd>\(RouteDescription.of(route).summary)</dd>\n"
            }
            list += "</dl>\n"
        }
        // Inside a script element only "</" could end the document early; JSON may write it as "<\/".
        let description = String(decoding: OpenAPIDescription.json, as: UTF8.self).replacing("</", with: "<\\/")
        let script = """
            <script type="application/json" id="description">\(description)</script>
            <script src="/swagger-ui/swagger-ui-bundle.js"></script>
            <script>
            if (window.SwaggerUIBundle) {
              const style = document.createElement("link");
              style.rel = "stylesheet";
              style.href = "/swagger-ui/swagger-ui.css";
              document.head.append(style);
              SwaggerUIBundle({
                spec: JSON.parse(document.getElementById("description").textContent),
                dom_id: "#swagger-ui", deepLinking: false, validatorUrl: null
              });
            }
            </script>

            """
        return """
            <!DOCTYPE html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <title>Gateway API</title>
            <link rel="icon" type="image/png" href="/favicon.png">
            </head>
            <body>
            <div id="swagger-ui">
            <h1>Gateway API</h1>
            \(list)</div>
            \(script)</body>
            </html>

            """
    }
}

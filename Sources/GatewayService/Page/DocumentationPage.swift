import Foundation

/// The page at every path that ends in a slash, and what it is made of.
///
/// The page carries the API's description in itself and lists every route without any script. Behind a balancer the next
/// request may go to another server; then the plain list is what one sees.
struct DocumentationPage: Sendable {
    let page: Reply
    private let files: [Substring: Reply]

    /// Reads the page's files, which the build puts beside the executable. Without them the page is the plain list.
    init(_ encoding: BodyEncoding) {
        let assets = Self.assets()
        page = Reply.ok(
            Reply.html, encoding.prepared(Body(Self.html(isRich: assets["swagger-ui-bundle.js"] != nil))), .page)
        var files: [Substring: Reply] = [
            "/openapi.json": .ok(Reply.json, encoding.prepared(Body(OpenAPIDescription.json)), .page),
            "/favicon.png": .ok("image/png", assets["favicon-32x32.png"] ?? Body(Self.pixel), .page),
        ]
        if let script = assets["swagger-ui-bundle.js"] {
            files["/swagger-ui/swagger-ui-bundle.js"] = .ok(
                "text/javascript; charset=utf-8", encoding.prepared(script), .page)
        }
        if let style = assets["swagger-ui.css"] {
            files["/swagger-ui/swagger-ui.css"] = .ok("text/css; charset=utf-8", encoding.prepared(style), .page)
        }
        self.files = files
    }

    /// The file at a path, nil when there is none.
    func file(_ path: Substring) -> Reply? { files[path] }

    private static func assets() -> [String: Body] {
        let executable = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
        let folder = executable.appendingPathComponent("balancer_GatewayService.resources/Assets")
        var assets: [String: Body] = [:]
        for name in ["swagger-ui-bundle.js", "swagger-ui.css", "favicon-32x32.png"] {
            if let data = try? Data(contentsOf: folder.appendingPathComponent(name)) {
                assets[name] = Body(data)
            }
        }
        return assets
    }

    /// A transparent picture for when there is no other: its path is part of the contract.
    private static let pixel: [UInt8] = [
        0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A, 0x00, 0x00, 0x00, 0x0D, 0x49, 0x48, 0x44, 0x52, 0x00, 0x00,
        0x00,
        0x01, 0x00, 0x00, 0x00, 0x01, 0x08, 0x06, 0x00, 0x00, 0x00, 0x1F, 0x15, 0xC4, 0x89, 0x00, 0x00, 0x00, 0x0D,
        0x49,
        0x44, 0x41, 0x54, 0x78, 0x9C, 0x63, 0x00, 0x01, 0x00, 0x00, 0x05, 0x00, 0x01, 0x0D, 0x0A, 0x2D, 0xB4, 0x00,
        0x00,
        0x00, 0x00, 0x49, 0x45, 0x4E, 0x44, 0xAE, 0x42, 0x60, 0x82,
    ]

    private static func html(isRich: Bool) -> String {
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
        let rich = """
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
            \(isRich ? rich : "")</body>
            </html>

            """
    }
}

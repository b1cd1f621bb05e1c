import CDashboard
import Hummingbird
import NIOCore

/// The files of the dashboard, which are part of the program. They hold nothing of this balancer: whoever may not ask the API
/// sees an empty page.
enum DashboardPage: String, CaseIterable {
    case page = "/"
    case style = "/dashboard.css"
    case script = "/dashboard.js"
    case icon = "/favicon.svg"

    /// Nothing but the page's own files, from where it came from, and no page around it.
    static let policy = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

    private var type: String {
        switch self {
        case .page: "text/html; charset=utf-8"
        case .style: "text/css; charset=utf-8"
        case .script: "text/javascript; charset=utf-8"
        case .icon: "image/svg+xml"
        }
    }

    private var bytes: UnsafeBufferPointer<UInt8> {
        var count = 0
        let start =
            switch self {
            case .page: dashboard_page(&count)
            case .style: dashboard_style(&count)
            case .script: dashboard_script(&count)
            case .icon: dashboard_icon(&count)
            }
        return UnsafeBufferPointer(start: start, count: count)
    }

    var response: Response {
        var headers: HTTPFields = [.contentType: self.type, .cacheControl: "no-store"]
        headers[.contentSecurityPolicy] = Self.policy
        headers[.xContentTypeOptions] = "nosniff"
        return Response(status: .ok, headers: headers, body: .init(byteBuffer: ByteBuffer(bytes: self.bytes)))
    }
}

extension AdminAPI {
    func addDashboard(to router: Router<AdminRequestContext>) {
        for page in DashboardPage.allCases {
            router.get(RouterPath(page.rawValue)) { _, _ in page.response }
        }
    }
}

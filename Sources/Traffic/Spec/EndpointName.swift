/// An endpoint that the file gives by a host name: all addresses of the name become endpoints.
package struct EndpointName: Sendable, Hashable, CustomStringConvertible {
    /// As it is written.
    package var host: String
    package var port: UInt16
    /// In the file's list of endpoints, from 0.
    package var position: Int

    package init(host: String, port: UInt16, position: Int) {
        self.host = host
        self.port = port
        self.position = position
    }

    /// As it is written: `core:3300`.
    package var description: String { "\(self.host):\(self.port)" }
}

/// An endpoint given by name that is none yet, or not any more what its name says.
package struct UnresolvedEndpoint: Sendable, Equatable {
    package var upstream: String
    package var name: EndpointName
    package var reason: String

    package init(upstream: String, name: EndpointName, reason: String) {
        self.upstream = upstream
        self.name = name
        self.reason = reason
    }
}

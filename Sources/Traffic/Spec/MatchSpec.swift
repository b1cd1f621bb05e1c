/// All given kinds must match; within a kind, any one.
package struct MatchSpec: Sendable, Equatable {
    package var hosts: [HostPattern] = []
    package var paths: [PathPattern] = []
    package var methods: [String] = []
    /// Names of listeners where the request's connection came in.
    package var listeners: [String] = []
    /// All must match.
    package var headers: [HeaderMatch] = []
    /// Paths are compared without regard to ASCII case.
    package var ignoreCase = false
    /// Paths are compared in their normal form; the request goes on with the path that it came with.
    package var normalise = false
    package init() {}
}

package enum HostPattern: Sendable, Equatable {
    /// Lower case, no port.
    case exact(String)
    /// `*.example.org` is stored as `.example.org`.
    case suffix(String)
}

package enum PathPattern: Sendable, Equatable {
    case exact(String)
    /// On segment borders: `/a` matches `/a` and `/a/b`, not `/ab`. `/` matches all.
    case prefix(String)
}

package struct HeaderMatch: Sendable, Equatable {
    /// Lower case.
    package var name: String
    /// nil: present with any value.
    package var value: String?
    package init(name: String, value: String?) {
        self.name = name
        self.value = value
    }
}

import JSONText
import Traffic

/// Reads which requests a route takes.
enum MatchReader {
    /// Over the defaults that `match` holds. `listeners`: the names that there are; nil: not known, any may be right.
    static func read(_ node: Node, listeners: [String]?, into match: inout MatchSpec) {
        guard let section = node.section(.match) else { return }
        section.read("host", into: &match.hosts) { node in
            node.oneOrMore("a host such as \"example.org\"")?.compactMap(Self.host)
        }
        section.read("path", into: &match.paths) { node in
            node.oneOrMore("a path such as \"/api\"")?.compactMap(Self.path)
        }
        section.read("method", into: &match.methods) { node in
            node.oneOrMore("a method such as \"GET\"", maximum: 32)?.compactMap { $0.method() }
        }
        section.read("listener", into: &match.listeners) { node in
            node.oneOrMore("the name of a listener such as \"public\"", maximum: 64)?.compactMap {
                Self.listener($0, among: listeners)
            }
        }
        section.read("headers", into: &match.headers) { Self.headers($0) }
        section.read("ignoreCase", into: &match.ignoreCase) { $0.bool() }
        section.read("normalise", into: &match.normalise) { $0.bool() }
    }

    private static func listener(_ node: Node, among listeners: [String]?) -> String? {
        guard let name = node.name() else { return nil }
        if let listeners, !listeners.contains(name) {
            node.fail("unknown listener" + Suggestion.text(for: name, among: listeners))
            return nil
        }
        return name
    }

    private static func host(_ node: Node) -> HostPattern? {
        guard let text = node.string("a host such as \"example.org\" or \"*.example.org\"")?.lowercased() else {
            return nil
        }
        if text == "*" {
            node.fail("every host matches when \"host\" is left out")
            return nil
        }
        let suffix = text.hasPrefix("*.") ? String(text.dropFirst()) : nil
        if Syntax.isHost(suffix.map { String($0.dropFirst()) } ?? text) {
            return suffix.map { .suffix($0) } ?? .exact(text)
        }
        if let (host, _) = Syntax.hostAndPort(text), Syntax.isHost(host) {
            node.fail("a host is matched without its port; write \(host.quoted)")
        } else {
            node.failExpecting("a host such as \"example.org\" or \"*.example.org\"")
        }
        return nil
    }

    private static func path(_ node: Node) -> PathPattern? {
        guard case .object = node.value.content else {
            guard case .string = node.value.content else {
                node.failExpecting("a path such as \"/api\", {\"exact\": …} or {\"prefix\": …}")
                return nil
            }
            return node.requestPath().map { .prefix($0) }
        }
        guard let section = node.section(.pathPattern) else { return nil }
        switch (section["exact"], section["prefix"]) {
        case (let exact?, nil): return exact.requestPath().map { .exact($0) }
        case (nil, let prefix?): return prefix.requestPath().map { .prefix($0) }
        case (nil, nil): section.fail("expected \"exact\" or \"prefix\"")
        case (_?, _?): section.fail("expected \"exact\" or \"prefix\", not both")
        }
        return nil
    }

    private static func headers(_ node: Node) -> [HeaderMatch]? {
        guard let members = node.members("an object of values by header name", maximum: 32) else { return nil }
        var matches: [HeaderMatch] = []
        for (name, node) in members {
            let lowercased = name.lowercased()
            if !Syntax.isToken(name) {
                node.fail("\(name.quoted) is not a header name")
            } else if matches.contains(where: { $0.name == lowercased }) {
                node.fail("the header \(lowercased.quoted) is already matched")
            }
            switch node.value.content {
            case .bool(true): matches.append(HeaderMatch(name: lowercased, value: nil))
            case .string(let text) where Syntax.isFieldValue(text):
                matches.append(HeaderMatch(name: lowercased, value: text))
            default: node.failExpecting("a header value, or true for any value")
            }
        }
        return matches
    }
}

extension Node {
    private static let commonMethods = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"]

    /// A method that can reach an upstream. Methods are case-sensitive (RFC 9110 §9.1).
    func method() -> String? {
        guard let text = self.token("a method such as \"GET\"") else { return nil }
        if text == "CONNECT" {
            self.fail("CONNECT is always refused")
            return nil
        }
        let upper = text.uppercased()
        if text != upper, Self.commonMethods.contains(upper) {
            self.fail("methods are case-sensitive; did you mean \(upper.quoted)?")
            return nil
        }
        return text
    }
}

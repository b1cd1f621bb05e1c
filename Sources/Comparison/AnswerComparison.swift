import JSONText

/// Compares two answers to the same request: status, then fields, then body.
package struct AnswerComparison: Sendable {
    package let rules: ComparisonRules
    package let redaction: Redaction

    package init(rules: ComparisonRules, redaction: Redaction) {
        self.rules = rules
        self.redaction = redaction
    }

    /// What differs; nothing if all that counts is alike. Nil is a side that gave no answer. Unequal statuses are the only
    /// difference that is told of such answers: what goes with an error differs with it.
    package func differences(method: String, old: Answer?, new: Answer?) -> [Difference] {
        guard let old, let new else {
            guard old != nil || new != nil else { return [] }
            return [
                Difference(
                    kind: .noAnswer, old: old.map { "\($0.status)" } ?? "no answer",
                    new: new.map { "\($0.status)" } ?? "no answer")
            ]
        }
        guard old.status == new.status else {
            return [
                Difference(
                    kind: .status(old: old.status, new: new.status), old: "\(old.status)", new: "\(new.status)")
            ]
        }
        var found: [Difference] = []
        for name in self.rules.headers {
            let (first, second) = (old.values(name), new.values(name))
            guard first != second else { continue }
            found.append(
                Difference(
                    kind: .header(name), old: first.map { self.shown(name, $0) },
                    new: second.map { self.shown(name, $0) }))
        }
        if method != "HEAD", old.status != 204, old.status != 304 { found += self.body(old, new) }
        return found
    }

    private func shown(_ name: String, _ values: [String]) -> String {
        Redaction.cut(values.map { self.redaction.field(name, $0) }.joined(separator: ", "))
    }

    private func body(_ old: Answer, _ new: Answer) -> [Difference] {
        guard case .whole(let first) = old.body, case .whole(let second) = new.body else {
            if old.body == new.body, old.coding == new.coding { return [] }
            return [Difference(kind: .tooLarge, old: Self.size(old.body), new: Self.size(new.body))]
        }
        if first == second, old.coding == new.coding { return [] }
        let decoded: (old: [UInt8], new: [UInt8])
        switch (Self.decode(first, old.coding), Self.decode(second, new.coding)) {
        case (.plain(let first), .plain(let second)): decoded = (first, second)
        case (.tooLarge, _), (_, .tooLarge):
            return [Difference(kind: .tooLarge, old: Self.size(old.body), new: Self.size(new.body))]
        default:
            return [
                Difference(
                    kind: .encoding, old: "\(old.coding ?? "identity"), \(Self.size(old.body))",
                    new: "\(new.coding ?? "identity"), \(Self.size(new.body))")
            ]
        }
        if decoded.old == decoded.new { return [] }
        if old.isJSON, new.isJSON {
            switch (Self.parse(decoded.old), Self.parse(decoded.new)) {
            case (.value(let first), .value(let second)):
                return JSONComparison.compare(old: first, new: second, rules: self.rules).map(self.difference)
            case (.tooLarge, _), (_, .tooLarge):
                return [Difference(kind: .tooLarge, old: Self.size(old.body), new: Self.size(new.body))]
            default: break
            }
        }
        return [self.byteDifference(decoded.old, decoded.new)]
    }

    private func difference(_ found: JSONComparison.Found) -> Difference {
        Difference(
            kind: found.kind, path: self.redaction.path(found.steps, indices: false),
            place: self.redaction.path(found.steps, indices: true),
            old: found.old.map { self.redaction.json($0, at: found.steps) },
            new: found.new.map { self.redaction.json($0, at: found.steps) })
    }

    // MARK: bytes

    private enum Parsed { case value(JSONValue), other, tooLarge }

    private static func parse(_ bytes: [UInt8]) -> Parsed {
        do {
            return .value(try JSONReader.read(bytes, nodes: JSONComparison.nodeLimit))
        } catch {
            return error.isBeyondLimit ? .tooLarge : .other
        }
    }

    private static func decode(_ bytes: [UInt8], _ coding: String?) -> Inflation {
        switch coding {
        case nil: .plain(bytes)
        case "gzip", "x-gzip": Inflation.inflate(bytes, .gzip)
        case "deflate": Inflation.inflate(bytes, .deflate)
        default: .broken
        }
    }

    /// Bodies that are compared by bytes are not shown, for nothing says what is private in them: where they part is.
    private func byteDifference(_ old: [UInt8], _ new: [UInt8]) -> Difference {
        let common = zip(old, new).prefix { $0 == $1 }.count
        return Difference(
            kind: .value, old: "\(old.count) bytes", new: "\(new.count) bytes, other from byte \(common + 1) on")
    }

    private static func size(_ body: Answer.Body) -> String {
        switch body {
        case .whole(let bytes): "\(bytes.count) bytes"
        case .digest(let length, _): "\(length) bytes"
        }
    }
}

/// The Accept-Encoding field (RFC 9110 12.5.3).
package enum AcceptEncoding {
    /// How much a client wants a coding, in thousandths; 0: not at all. `alias`: another name of the same. Without the field, or
    /// without a word about the coding in it, nothing but identity is wanted.
    package static func weight(
        of token: StaticString, alias: StaticString = "", _ fields: FieldList, _ source: borrowing Span<UInt8>
    ) -> Int {
        var found = Found()
        for index in 0..<fields.count
        where ASCII.equalsIgnoringCase(source, fields[index].name, lowercase: "accept-encoding") {
            found.look(token, alias, fields[index].value, source)
        }
        return found.own ?? found.any ?? 0
    }

    /// Likewise of identity: the body as it is. nil: nothing is said of it, and then it is taken, if nothing else is
    /// (RFC 9110 12.5.3).
    package static func identityWeight(_ fields: FieldList, _ source: borrowing Span<UInt8>) -> Int? {
        var found = Found()
        for index in 0..<fields.count
        where ASCII.equalsIgnoringCase(source, fields[index].name, lowercase: "accept-encoding") {
            found.look("identity", "", fields[index].value, source)
        }
        return found.own ?? found.any
    }

    /// Of one value.
    package static func identityWeight(in value: ByteRange, _ source: borrowing Span<UInt8>) -> Int? {
        var found = Found()
        found.look("identity", "", value, source)
        return found.own ?? found.any
    }

    /// Of one value.
    package static func weight(
        of token: StaticString, alias: StaticString = "", in value: ByteRange, _ source: borrowing Span<UInt8>
    ) -> Int {
        var found = Found()
        found.look(token, alias, value, source)
        return found.own ?? found.any ?? 0
    }

    private struct Found {
        var own: Int?
        var any: Int?

        mutating func look(
            _ token: StaticString, _ alias: StaticString, _ value: ByteRange, _ source: borrowing Span<UInt8>
        ) {
            var elements = ElementList(value)
            while self.own == nil, let element = elements.next(in: source) {
                let name = AcceptEncoding.name(of: element, in: source)
                if ASCII.equalsIgnoringCase(source, name, lowercase: token)
                    || alias.utf8CodeUnitCount > 0 && ASCII.equalsIgnoringCase(source, name, lowercase: alias)
                {
                    self.own = AcceptEncoding.weight(behind: name, of: element, in: source)
                } else if name.count == 1, source[Int(name.lower)] == 0x2A {
                    self.any = AcceptEncoding.weight(behind: name, of: element, in: source)
                }
            }
        }
    }

    /// Up to the parameters.
    private static func name(of element: ByteRange, in source: borrowing Span<UInt8>) -> ByteRange {
        var end = Int(element.lower)
        while end < Int(element.upper), source[end] != 0x3B, source[end] != 0x20, source[end] != 0x09 { end += 1 }
        return ByteRange(Int(element.lower), end)
    }

    /// `;q=0.5`, with blanks around the semicolon (RFC 9110 12.4.2). What is no weight is none that was wished for.
    private static func weight(
        behind name: ByteRange, of element: ByteRange, in source: borrowing Span<UInt8>
    ) -> Int {
        var at = Int(name.upper)
        let end = Int(element.upper)
        func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }
        while at < end, isBlank(source[at]) { at += 1 }
        guard at < end else { return 1_000 }
        guard source[at] == 0x3B else { return 0 }
        at += 1
        while at < end, isBlank(source[at]) { at += 1 }
        guard at + 2 < end, source[at] | 0x20 == 0x71, source[at + 1] == 0x3D else { return 0 }
        at += 2
        guard source[at] == 0x30 || source[at] == 0x31 else { return 0 }
        let isOne = source[at] == 0x31
        at += 1
        guard at < end else { return isOne ? 1_000 : 0 }
        guard source[at] == 0x2E, end - at <= 4 else { return 0 }
        at += 1
        var value = 0
        var scale = 100
        while at < end {
            let digit = source[at] &- 0x30
            guard digit <= 9, !isOne || digit == 0 else { return 0 }
            value += Int(digit) * scale
            scale /= 10
            at += 1
        }
        return isOne ? 1_000 : value
    }
}

/// Which of several codings a client gets: they are offered one after the other, the preferred one first.
package struct CodingChoice {
    private let identity: Int?
    private var best = 0

    /// `identity`: its weight, if the client says one.
    package init(identity: Int?) { self.identity = identity }

    /// The client takes no body as it is.
    package var refusesIdentity: Bool { self.identity == 0 }

    /// Whether the client wants a coding of this weight more than all before it, and not less than the body as it is.
    package mutating func offer(_ weight: Int) -> Bool {
        guard weight > self.best, weight >= self.identity ?? 0 else { return false }
        self.best = weight
        return true
    }
}

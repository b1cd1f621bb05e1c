import HTTPWire

/// What a head came to, with its ranges read out as text so that it can be compared.
enum Verdict: Equatable, CustomStringConvertible {
    case incomplete
    case refused(HeadError)
    case request(String)
    case response(String)

    var description: String {
        switch self {
        case .incomplete: "incomplete"
        case .refused(let error): "refused: \(error.reason)"
        case .request(let text), .response(let text): text
        }
    }
}

enum Parsing {
    static let limits = HeadLimits(requestLine: 8_192, bytes: 32_768, count: 100)

    static func request(_ bytes: [UInt8], limits: HeadLimits = Parsing.limits) -> Verdict {
        var fields = FieldTable()
        do throws(HeadError) {
            guard let head = try HeadParser.request(bytes.span, limits: limits, fields: &fields) else {
                return .incomplete
            }
            let text = { (range: ByteRange) in
                String(decoding: bytes[Int(range.lower)..<Int(range.upper)], as: UTF8.self)
            }
            var line = "\(text(head.methodRange)) \(head.form) path=\(text(head.path)) query=\(text(head.query))"
            line += " host=\(text(head.host)) 1.\(head.minorVersion) \(head.framing)"
            line += " persistent=\(head.persistent) expect=\(head.expectContinue) upgrade=\(head.wantsUpgrade)"
            for index in 0..<fields.count {
                let field = fields[index]
                line += " | \(text(field.name))=\(text(field.value))\(field.nominated ? " (nominated)" : "")"
            }
            return .request(line + " [\(head.length)]")
        } catch {
            return .refused(error)
        }
    }

    static func response(
        _ bytes: [UInt8], to method: HTTPMethod = .get, limits: HeadLimits = Parsing.limits
    ) -> Verdict {
        var fields = FieldTable()
        do throws(HeadError) {
            guard
                let head = try HeadParser.response(
                    bytes.span, to: method, limits: limits, fields: &fields)
            else { return .incomplete }
            let text = { (range: ByteRange) in
                String(decoding: bytes[Int(range.lower)..<Int(range.upper)], as: UTF8.self)
            }
            return .response(
                "\(head.status) \(text(head.reason)) 1.\(head.minorVersion) \(head.framing) persistent=\(head.persistent)"
            )
        } catch {
            return .refused(error)
        }
    }

    /// Feeds every prefix as a peer that sends byte by byte would, and checks that no prefix is accepted, that a refusal
    /// is never taken back, and that the whole gives the same as at once.
    static func splitVerdict(_ bytes: [UInt8], parse: ([UInt8]) -> Verdict) -> (final: Verdict, fault: String?) {
        let whole = parse(bytes)
        var early: Verdict?
        for count in 0..<bytes.count {
            let verdict = parse(Array(bytes[..<count]))
            switch verdict {
            case .incomplete:
                if let early { return (whole, "\(early) after \(count) bytes was taken back") }
            case .refused: early = early ?? verdict
            case .request(let text), .response(let text):
                // Bytes behind the head are no part of it.
                if !text.hasSuffix("[\(count)]"), case .request = verdict {
                    return (whole, "prefix of \(count) accepted: \(text)")
                }
            }
        }
        if let early, early != whole { return (whole, "early \(early) but at once \(whole)") }
        return (whole, nil)
    }

    static func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }
}

/// What of a response's fields decides whether its body may be put into another form.
package struct ContentFields {
    /// Without parameters; nil: there is none, or there are several.
    package private(set) var type: ByteRange?
    /// It has a form already, or is a part only.
    package private(set) var isEncoded = false
    package private(set) var isPart = false
    /// `Cache-Control: no-transform` (RFC 9110 7.7), or a digest of these very bytes follows in the trailers.
    package private(set) var mustStay = false
    /// What Content-Length says, also where no body follows; nil: nothing.
    package private(set) var length: UInt64?
    /// The entity tag if it is a strong one, with its quotes; nil: there is none, or there are several.
    package private(set) var strongTag: ByteRange?
    /// `Vary` names Accept-Encoding already, or says that anything may matter.
    package private(set) var varies = false

    package init(_ fields: FieldList, _ source: borrowing Span<UInt8>) {
        var types = 0
        var tags = 0
        for index in 0..<fields.count {
            let field = fields[index]
            switch field.id {
            case .contentLength:
                self.length = Self.decimal(field.value, source)
                continue
            case .trailer:
                if Self.announcesDigest(field.value, source) { self.mustStay = true }
                continue
            default: break
            }
            if ASCII.equalsIgnoringCase(source, field.name, lowercase: "content-type") {
                types += 1
                self.type = Self.essence(field.value, source)
            } else if ASCII.equalsIgnoringCase(source, field.name, lowercase: "content-encoding") {
                // `identity` should not be said, and says nothing (RFC 9110 12.5.3).
                if !field.value.isEmpty, !ASCII.equalsIgnoringCase(source, field.value, lowercase: "identity") {
                    self.isEncoded = true
                }
            } else if ASCII.equalsIgnoringCase(source, field.name, lowercase: "content-range") {
                self.isPart = true
            } else if ASCII.equalsIgnoringCase(source, field.name, lowercase: "cache-control") {
                if Self.names("no-transform", field.value, source) { self.mustStay = true }
            } else if ASCII.equalsIgnoringCase(source, field.name, lowercase: "vary") {
                if Self.names("accept-encoding", field.value, source) || Self.names("*", field.value, source) {
                    self.varies = true
                }
            } else if ASCII.equalsIgnoringCase(source, field.name, lowercase: "etag") {
                tags += 1
                if !field.value.isEmpty, source[Int(field.value.lower)] == 0x22 { self.strongTag = field.value }
            }
        }
        if types > 1 { self.type = nil }
        if tags > 1 { self.strongTag = nil }
    }

    /// Fields that hold a digest of the body's very bytes. RFC 9530's both speak of the form that is sent.
    private static let digests: [StaticString] = ["content-digest", "repr-digest", "digest", "content-md5"]

    static func isDigest(_ name: ByteRange, _ source: borrowing Span<UInt8>) -> Bool {
        for digest in Self.digests where ASCII.equalsIgnoringCase(source, name, lowercase: digest) { return true }
        return false
    }

    private static func announcesDigest(_ value: ByteRange, _ source: borrowing Span<UInt8>) -> Bool {
        var elements = ElementList(value)
        while let element = elements.next(in: source) {
            if Self.isDigest(element, source) { return true }
        }
        return false
    }

    /// Whether a request's If-None-Match names the tag, which has its quotes, as a weak one: the client got it that way
    /// (RFC 9110 13.1.2).
    package static func isKnownWeakly(
        _ tag: borrowing Span<UInt8>, _ fields: FieldList, _ source: borrowing Span<UInt8>
    ) -> Bool {
        for index in 0..<fields.count
        where ASCII.equalsIgnoringCase(source, fields[index].name, lowercase: "if-none-match") {
            let value = fields[index].value.bounds
            var start = value.lowerBound
            // No tag has a quote within, so that what looks like one is one.
            while start + 2 + tag.count <= value.upperBound {
                defer { start += 1 }
                guard source[start] == 0x57, source[start + 1] == 0x2F else { continue }
                var place = 0
                while place < tag.count, source[start + 2 + place] == tag[place] { place += 1 }
                if place == tag.count { return true }
            }
        }
        return false
    }

    /// nil: it is no number.
    private static func decimal(_ value: ByteRange, _ source: borrowing Span<UInt8>) -> UInt64? {
        guard !value.isEmpty else { return nil }
        var number: UInt64 = 0
        for index in value.bounds {
            let digit = source[index] &- 0x30
            guard digit <= 9 else { return nil }
            let (product, overflow) = number.multipliedReportingOverflow(by: 10)
            let (sum, carry) = product.addingReportingOverflow(UInt64(digit))
            guard !overflow, !carry else { return nil }
            number = sum
        }
        return number
    }

    /// Whether a request's or a response's fields ask that nobody changes the content.
    package static func forbidChange(_ fields: FieldList, _ source: borrowing Span<UInt8>) -> Bool {
        for index in 0..<fields.count
        where ASCII.equalsIgnoringCase(source, fields[index].name, lowercase: "cache-control") {
            if self.names("no-transform", fields[index].value, source) { return true }
        }
        return false
    }

    private static func names(
        _ token: StaticString, _ value: ByteRange, _ source: borrowing Span<UInt8>
    ) -> Bool {
        var elements = ElementList(value)
        while let element = elements.next(in: source) {
            if ASCII.equalsIgnoringCase(source, element, lowercase: token) { return true }
        }
        return false
    }

    private static func essence(_ value: ByteRange, _ source: borrowing Span<UInt8>) -> ByteRange {
        var end = Int(value.lower)
        while end < Int(value.upper), source[end] != 0x3B, source[end] != 0x20, source[end] != 0x09 { end += 1 }
        return ByteRange(Int(value.lower), end)
    }
}

/// How often a request has passed this balancer before: a request that comes back has gone in a circle.
///
/// A pass leaves our pseudonym in `Via`; where `Via` is off, or a route removes or sets it, it counts up `X-Balancer-Hops`
/// instead, which no route can change. Both count together, since a circle may lead through routes of either kind.
/// Whoever writes such fields without being us can only have their own request refused.
package enum PassCount {
    /// Whether any field says of a pass: most requests have none, and need not be counted.
    @inline(__always)
    package static func mayHavePassed(_ fields: FieldList) -> Bool {
        fields.present.contains(.via) || fields.present.contains(.xBalancerHops)
    }

    /// `pseudonym` is empty where none is written.
    package static func of(
        _ fields: FieldList, in source: borrowing Span<UInt8>, pseudonym: [UInt8]
    ) -> Int {
        var count = self.hops(fields, in: source)
        guard !pseudonym.isEmpty, fields.present.contains(.via) else { return count }
        for index in 0..<fields.count where fields[index].id == .via {
            count += ViaList.count(of: pseudonym, in: source, fields[index].value)
        }
        return count
    }

    /// The number in `X-Balancer-Hops`, the greatest should there be several; 0 without one, or if it is no number.
    static func hops(_ fields: FieldList, in source: borrowing Span<UInt8>) -> Int {
        guard fields.present.contains(.xBalancerHops) else { return 0 }
        var greatest = 0
        for index in 0..<fields.count where fields[index].id == .xBalancerHops {
            greatest = max(greatest, self.number(source, fields[index].value))
        }
        return greatest
    }

    /// Up to four digits: more passes than that have been stopped long before.
    private static func number(_ source: borrowing Span<UInt8>, _ value: ByteRange) -> Int {
        guard value.count <= 4 else { return 9_999 }
        var number = 0
        for index in value.bounds {
            let digit = source[index] &- 0x30
            guard digit <= 9 else { return 0 }
            number = number * 10 + Int(digit)
        }
        return number
    }
}

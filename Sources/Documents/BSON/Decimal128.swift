/// An IEEE 754-2008 decimal in BSON's binary integer encoding.
package struct Decimal128: Sendable, Equatable {
    package let low: UInt64
    package let high: UInt64

    package init(low: UInt64, high: UInt64) {
        self.low = low
        self.high = high
    }

    private var isNegative: Bool { high >> 63 == 1 }

    /// The coefficient and the power of ten, nil for an infinity or a NaN.
    private var parts: (coefficient: UInt128, exponent: Int)? {
        let combination = (high >> 58) & 0x1F
        if combination >= 0x1E { return nil }
        let exponent: UInt64
        let top: UInt64
        if combination >> 3 == 3 {
            // The form for coefficients above 2^113 exceeds 34 digits, so its coefficient counts as zero.
            exponent = (high >> 47) & 0x3FFF
            return (0, Int(exponent) - 6176)
        } else {
            exponent = (high >> 49) & 0x3FFF
            top = high & 0x1_FFFF_FFFF_FFFF
        }
        let coefficient = UInt128(top) << 64 | UInt128(low)
        // 34 digits at most; more is not canonical and counts as zero.
        let limit: UInt128 = 9_999_999_999_999_999_999_999_999_999_999_999
        return (coefficient > limit ? 0 : coefficient, Int(exponent) - 6176)
    }

    /// The text of the BSON specification: plain where the exponent allows it, scientific otherwise.
    package var text: String {
        guard let (coefficient, exponent) = parts else {
            if (high >> 58) & 0x1F == 0x1F { return "NaN" }
            return isNegative ? "-Infinity" : "Infinity"
        }
        let sign = isNegative ? "-" : ""
        let digits = String(coefficient)
        let adjusted = exponent + digits.count - 1
        if exponent > 0 || adjusted < -6 {
            let fraction = digits.count > 1 ? "." + digits.dropFirst() : ""
            return sign + digits.prefix(1) + fraction + "E" + (adjusted < 0 ? "" : "+") + String(adjusted)
        }
        if exponent == 0 { return sign + digits }
        let point = digits.count + exponent
        if point > 0 { return sign + digits.prefix(point) + "." + digits.dropFirst(point) }
        return sign + "0." + String(repeating: "0", count: -point) + digits
    }

    /// The nearest double, good enough to order by.
    package var approximation: Double {
        Double(text.replacingInfinity) ?? .nan
    }
}

extension String {
    fileprivate var replacingInfinity: String {
        self == "Infinity" ? "inf" : self == "-Infinity" ? "-inf" : self
    }
}

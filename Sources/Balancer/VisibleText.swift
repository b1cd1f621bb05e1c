extension String {
    /// The text with everything made visible that a terminal would obey: control characters, line ends, and characters that
    /// turn the direction of writing. What others chose (names, reasons, answers) goes into terminals and logs so.
    var visible: String {
        guard self.unicodeScalars.contains(where: Self.isObeyed) else { return self }
        var text = ""
        for scalar in self.unicodeScalars {
            switch scalar {
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            case "\t": text += "\\t"
            case _ where Self.isObeyed(scalar): text += Self.escape(scalar)
            default: text.unicodeScalars.append(scalar)
            }
        }
        return text
    }

    /// The same where lines are lines: line ends and tabs stay.
    var visibleLines: String {
        guard self.unicodeScalars.contains(where: { Self.isObeyed($0) && $0 != "\n" }) else { return self }
        var text = ""
        for scalar in self.unicodeScalars {
            if Self.isObeyed(scalar), scalar != "\n", scalar != "\t" {
                text += Self.escape(scalar)
            } else {
                text.unicodeScalars.append(scalar)
            }
        }
        return text
    }

    private static func isObeyed(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0..<0x20, 0x7F...0x9F, 0x200E...0x200F, 0x2028...0x202E, 0x2066...0x2069: true
        default: false
        }
    }

    /// `\u001b`, as JSON has it.
    private static func escape(_ scalar: Unicode.Scalar) -> String {
        let digits = String(scalar.value, radix: 16)
        return "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
    }
}

import Traffic

/// Writes the Prometheus text format, version 0.0.4. The families come in the order they are opened; each once.
struct MetricsText {
    static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    private(set) var text = ""

    /// Opens a family; its samples must follow before the next one is opened.
    mutating func family(_ name: MetricName) {
        self.text += "# HELP \(name.rawValue) \(name.help)\n# TYPE \(name.rawValue) \(name.kind.rawValue)\n"
    }

    mutating func sample(_ name: MetricName, suffix: String = "", _ labels: [(String, String)] = [], _ value: String) {
        self.text += name.rawValue
        self.text += suffix
        if !labels.isEmpty {
            self.text += "{"
            for (index, label) in labels.enumerated() {
                if index > 0 { self.text += "," }
                self.text += label.0
                self.text += "=\""
                self.text += Self.escaped(label.1)
                self.text += "\""
            }
            self.text += "}"
        }
        self.text += " "
        self.text += value
        self.text += "\n"
    }

    mutating func sample(_ name: MetricName, _ labels: [(String, String)] = [], _ value: UInt64) {
        self.sample(name, labels, String(value))
    }

    /// Cumulative, as the format wants it.
    mutating func histogram(_ name: MetricName, _ labels: [(String, String)], _ histogram: LatencyHistogram) {
        var cumulative: UInt64 = 0
        for (index, bound) in LatencyHistogram.bounds.enumerated() {
            cumulative &+= histogram.counts[index]
            let edge = Self.seconds(microseconds: bound)
            self.sample(name, suffix: "_bucket", labels + [("le", edge)], String(cumulative))
        }
        let count = String(histogram.count)
        self.sample(name, suffix: "_bucket", labels + [("le", "+Inf")], count)
        self.sample(name, suffix: "_sum", labels, Self.seconds(microseconds: histogram.sumMicroseconds))
        self.sample(name, suffix: "_count", labels, count)
    }

    mutating func single(_ name: MetricName, _ value: UInt64) {
        self.family(name)
        self.sample(name, [], value)
    }

    /// Seconds from smaller units, exact in decimal.
    static func seconds(microseconds: UInt64) -> String {
        let whole = microseconds / 1_000_000
        var fraction = String(microseconds % 1_000_000)
        fraction = String(repeating: "0", count: 6 - fraction.count) + fraction
        while fraction.hasSuffix("0") { fraction.removeLast() }
        return fraction.isEmpty ? String(whole) : "\(whole).\(fraction)"
    }

    /// Backslash, quote and line feed are escaped; other control characters have no place in a label.
    static func escaped(_ value: String) -> String {
        guard value.utf8.contains(where: { $0 == 0x5C || $0 == 0x22 || $0 < 0x20 || $0 == 0x7F }) else { return value }
        var escaped = ""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\\": escaped += "\\\\"
            case "\"": escaped += "\\\""
            case "\n": escaped += "\\n"
            default:
                if scalar.value < 0x20 || scalar.value == 0x7F {
                    escaped += "?"
                } else {
                    escaped.unicodeScalars.append(scalar)
                }
            }
        }
        return escaped
    }
}

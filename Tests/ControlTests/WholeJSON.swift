import Foundation

/// A value's whole JSON with its members in the order of their names: what it says can be compared at one glance.
func wholeJSON(_ value: some Encodable) -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return (try? encoder.encode(value)).map { String(decoding: $0, as: UTF8.self) } ?? "no JSON"
}

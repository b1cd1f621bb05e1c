import TestSupport

/// Chunked bodies by chance.
enum RandomBody {
    static func make(_ random: inout SplitMix) -> [UInt8] {
        var text = ""
        for _ in 0..<random.below(6) {
            let size = [1, 2, 3, 15, 16, 17, 40, 300][random.below(8)]
            let zeros = String(repeating: "0", count: random.below(4) == 0 ? random.below(4) : 0)
            let digits = String(size, radix: 16, uppercase: random.below(2) == 0)
            text += "\(zeros)\(digits)\(Self.extensionText(&random))\r\n"
            text += String(repeating: Character(Unicode.Scalar(UInt8(0x61 + random.below(26)))), count: size) + "\r\n"
        }
        text += String(repeating: "0", count: 1 + random.below(3)) + Self.extensionText(&random) + "\r\n"
        let names = ["X-T", "a", "Host", "content-length", "Trailer", "grpc-status", "x!#$%&'*+-.^_`|~9"]
        for _ in 0..<(random.below(2) == 0 ? 0 : random.below(7)) {
            let value = ["", " ", "v", " v ", "\tw x\t", "\u{e9}", "a:b"][random.below(7)]
            text += "\(names[random.below(names.count)]):\(value)\r\n"
        }
        text += "\r\n" + ["", "GET / HTTP/1.1\r\n", "0\r\n\r\n"][random.below(3)]
        return Array(text.utf8)
    }

    private static func extensionText(_ random: inout SplitMix) -> String {
        guard random.below(3) == 0 else { return "" }
        return [
            ";", ";a", " ;a=b", "\t; a = \"b c\" ", ";a;b;c", " ", "  ", ";0123456789abcdefghij",
            ";\(String(repeating: "x", count: 26))",
        ][
            random.below(9)]
    }

    static func damage(_ bytes: inout [UInt8], _ random: inout SplitMix) {
        for _ in 0...random.below(2) {
            let at = random.below(bytes.count)
            let favourites: [UInt8] = [0x0D, 0x0A, 0x20, 0x09, 0x3B, 0x30, 0x35, 0x46, 0x3A, 0x00, 0x7F, 0x80, 0x67]
            let byte = random.below(2) == 0 ? favourites[random.below(favourites.count)] : UInt8(random.below(256))
            switch random.below(3) {
            case 0: bytes[at] = byte
            case 1: bytes.insert(byte, at: at)
            default: if bytes.count > 1 { bytes.remove(at: at) }
            }
        }
    }
}

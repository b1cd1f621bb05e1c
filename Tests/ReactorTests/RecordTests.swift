import Foundation
import TestSupport
import Testing

@testable import Reactor

/// Records of clients as nobody should send them. Inputs that fuzzing found, or started from, again in every run.
@Suite("Records of TLS") struct RecordTests {
    private static func cases() -> [URL] {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent(
            "FuzzCases/tls")
        return ((try? FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)) ?? [])
            .sorted { $0.path < $1.path }
    }

    private static func invariants() throws -> RecordInvariants {
        let authority = try TestCertificates()
        let made = try authority.make("records", names: ["localhost"])
        return try #require(
            RecordInvariants(chain: try WholeFile.read(made.certificate), key: try WholeFile.read(made.key)))
    }

    @Test("Saved cases")
    func saved() throws {
        let invariants = try Self.invariants()
        #expect(Self.cases().count >= 2)
        for file in Self.cases() {
            #expect(invariants.fault(in: Array(try Data(contentsOf: file))) == nil, "\(file.lastPathComponent)")
        }
    }

    @Test(
        "In pieces of any length an honest client is served; one bit that is another anywhere, and nothing false is read"
    )
    func changed() throws {
        let invariants = try Self.invariants()
        for piece in 0..<64 as Range<UInt8> { #expect(invariants.fault(in: [1, piece, 0, 0, 0]) == nil, "\(piece)") }
        var random = SplitMix(1)
        for place in stride(from: 0, to: 700, by: 3) {
            let bit = UInt8(1) << UInt8(random.below(8))
            let fault = invariants.fault(in: [1, 60, UInt8(place >> 8), UInt8(place & 255), bit])
            #expect(fault == nil, "\(place) \(bit)")
        }
    }
}

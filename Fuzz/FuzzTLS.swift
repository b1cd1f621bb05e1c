import Glibc

@testable import Reactor

/// Records of a client of TLS, made up or changed on the way (`RecordInvariants`).
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzTLS(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    guard let invariants = Certificate.invariants else { preconditionFailure("no certificate") }
    if let fault = invariants.fault(in: Array(UnsafeBufferPointer(start: start, count: count))) {
        preconditionFailure(fault)
    }
    return 0
}

private enum Certificate {
    /// Of the certificate that `run.sh` makes.
    nonisolated(unsafe) static let invariants: RecordInvariants? = getenv("FUZZ_CERTIFICATE").flatMap { folder in
        let folder = String(cString: folder)
        guard let chain = try? WholeFile.read(folder + "/fuzz.crt"), let key = try? WholeFile.read(folder + "/fuzz.key")
        else { return nil }
        return RecordInvariants(chain: chain, key: key)
    }
}

import HTTPWire

/// Headers of the PROXY protocol: a verdict comes with the first byte that settles it, and stays.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzProxy(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let bytes = Array(UnsafeBufferPointer(start: start, count: count))
    if let fault = ProxyHeaderInvariants.fault(in: bytes) { preconditionFailure(fault) }
    return 0
}

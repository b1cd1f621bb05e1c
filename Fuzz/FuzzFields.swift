/// Field blocks of one HTTP/2 connection (`FieldInvariants`).
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzFields(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    if let fault = FieldInvariants.fault(in: Array(UnsafeBufferPointer(start: start, count: count))) {
        preconditionFailure(fault)
    }
    return 0
}

import Reactor
import Synchronization

/// One look at a password, on its way to a thread and back.
final class CredentialLook: Computation {
    let code: CredentialCode
    /// Of the worker that asked first.
    let loop: EventLoop
    /// Of its client, in the table of failures.
    let clientHash: UInt64
    /// The name is one that may come in at all.
    private let passes: Bool
    private let password: Passphrase
    private let hash: [UInt8]
    /// The verdict, once the look is done.
    private let verdict = Atomic(false)

    init(
        _ code: CredentialCode, password: UnsafeRawBufferPointer, hash: [UInt8], passes: Bool, clientHash: UInt64,
        loop: EventLoop
    ) {
        self.code = code
        self.loop = loop
        self.clientHash = clientHash
        self.passes = passes
        self.password = Passphrase(password)
        self.hash = hash
    }

    func compute() {
        // The look comes first: a name that does not pass takes as long as one that does.
        let isRight = self.password.matches(self.hash) && self.passes
        self.password.wipe()
        self.verdict.store(isRight, ordering: .relaxed)
    }

    var isRight: Bool { self.verdict.load(ordering: .relaxed) }
}

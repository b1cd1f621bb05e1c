/// One thread for calls that block, made once and kept: files, name look-ups, local sockets. Each call waits for those
/// before it, and none takes one of the few threads that all Swift tasks share.
package actor BlockingThread {
    private nonisolated let loop: EventLoop

    package nonisolated var unownedExecutor: UnownedSerialExecutor { self.loop.asUnownedSerialExecutor() }

    /// Starts the thread; it ends with the last reference.
    package init(named name: String) throws(SystemError) {
        let loop = try EventLoop()
        self.loop = loop
        try Thread.start(named: name) { loop.run { _ in NextTurn(timeout: -1) } }
    }

    deinit { self.loop.stop() }

    /// Runs `body` on the thread.
    package func run<Value: Sendable>(_ body: @Sendable () -> Value) -> Value { body() }
}

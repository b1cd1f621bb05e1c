import ServiceLifecycle

/// Gives up answers that are too old although no new one comes to take their place.
struct CacheSweep<Body: Sendable>: Service {
    let cache: ResponseCache<Body>
    let interval: Duration

    func run() async throws {
        try? await cancelWhenGracefulShutdown {
            while true {
                try await Task.sleep(for: interval)
                cache.removeExpired(now: .now)
            }
        }
    }
}

/// Work that is begun while others of its kind run: what is put in starts at once, side by side, as long as `run` runs.
///
/// Not bounded by itself: who puts in is bound by what routes.json names.
struct StartQueue<Element: Sendable>: Sendable {
    private let elements: AsyncStream<Element>
    private let continuation: AsyncStream<Element>.Continuation

    init() { (self.elements, self.continuation) = AsyncStream.makeStream() }

    func start(_ element: Element) { self.continuation.yield(element) }

    /// Until the task is cancelled; what runs then is cancelled too.
    func run(_ body: @escaping @Sendable (Element) async -> Void) async {
        await withDiscardingTaskGroup { group in
            for await element in self.elements {
                group.addTask { await body(element) }
            }
            group.cancelAll()
        }
    }
}

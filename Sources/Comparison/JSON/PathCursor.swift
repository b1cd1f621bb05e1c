/// Patterns matched while a walk goes down and up: each step costs what the patterns that can still match cost, not all of them.
struct PathCursor {
    /// A pattern of which some segments are behind.
    private struct State {
        var pattern: Int32
        var passed: Int32
    }

    private let patterns: [[JSONPath.Segment]]
    /// The states of all values from the root to where the walk is, one value behind the other.
    private var states: [State]
    /// Where each value's states begin.
    private var starts: [Int]
    /// The first pattern that selects each value.
    private var selected: [Int32]

    init(_ patterns: [JSONPath]) {
        self.patterns = patterns.map(\.segments)
        self.states = patterns.indices.compactMap {
            patterns[$0].segments.isEmpty ? nil : State(pattern: Int32($0), passed: 0)
        }
        self.starts = [0]
        self.selected = [Int32(patterns.firstIndex { $0.segments.isEmpty } ?? -1)]
    }

    /// The number of the first pattern that selects the present value.
    var match: Int? {
        guard let last = self.selected.last, last >= 0 else { return nil }
        return Int(last)
    }

    /// What a step down costs.
    var width: Int { self.states.count - (self.starts.last ?? 0) }

    mutating func enter(_ step: JSONStep) {
        let start = self.starts.last ?? 0
        let end = self.states.count
        var selected: Int32 = -1
        for position in start..<end {
            let state = self.states[position]
            let segments = self.patterns[Int(state.pattern)]
            let segment = segments[Int(state.passed)]
            if case .descendant = segment { self.add(state, from: end) }
            guard segment.takes(step) else { continue }
            if Int(state.passed) + 1 == segments.count {
                if selected < 0 || state.pattern < selected { selected = state.pattern }
            } else {
                self.add(State(pattern: state.pattern, passed: state.passed + 1), from: end)
            }
        }
        self.starts.append(end)
        self.selected.append(selected)
    }

    /// Each state once, or `$..a..a` would have as many as there are ways to match it. States of one pattern lie together.
    private mutating func add(_ state: State, from start: Int) {
        var position = self.states.count
        while position > start, self.states[position - 1].pattern == state.pattern {
            if self.states[position - 1].passed == state.passed { return }
            position -= 1
        }
        self.states.append(state)
    }

    mutating func leave() {
        guard self.starts.count > 1, let start = self.starts.popLast() else { return }
        self.states.removeLast(self.states.count - start)
        self.selected.removeLast()
    }
}

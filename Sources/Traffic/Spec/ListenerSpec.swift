package struct ListenerSpec: Sendable, Equatable {
    package var name: String
    package var address: SocketAddress
    package init(name: String, address: SocketAddress) {
        self.name = name
        self.address = address
    }
}

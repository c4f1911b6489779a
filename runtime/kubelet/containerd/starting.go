package containerd

func (a *Adapter) isStarting(id string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.starting[id]
}

func (a *Adapter) setStarting(id string, is bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if delete(a.starting, id); is {
		a.starting[id] = true
	}
}

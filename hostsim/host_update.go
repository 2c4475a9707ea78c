package hostsim

// Update gives the plugin another configuration, as an update of its listener does: a canary VM tries it, and each
// thread's VM gets another root context for it, beside its existing ones. New requests go to the new root. The earlier
// ones keep ticking, and answer requests with a Before, until Drained. If the plugin refuses the configuration, the
// error is a *LoadError and nothing changes.
func (h *Host) Update(config string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.runs() {
		return nil
	}
	if msg := h.addConfig([]byte(config)); msg != "" {
		return &LoadError{Message: msg, Logs: h.Logs()}
	}
	h.updates++
	h.run(h.time.Elapsed())
	return nil
}

// Drained ends the drain time: all configurations but the last are removed.
func (h *Host) Drained() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, t := range h.threads() {
		t.drain(max(len(t.plugins)-1, 0))
	}
	h.run(h.time.Elapsed())
}

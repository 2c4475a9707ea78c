package hostsim

// Update gives the plugin another configuration, as an update of its listener does: a canary VM tries it, and each thread's
// VM gets another root context for it, beside those there are. New requests go to it; what was configured before ticks on,
// and answers requests with a Before, until Drained. The error is a *LoadError if the plugin refuses the configuration: all
// stays as it was.
func (h *Host) Update(config string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.runs() {
		return nil
	}
	if msg := h.addConfig([]byte(config)); msg != "" {
		return &LoadError{Message: msg, Logs: h.Logs()}
	}
	h.run(h.time.Elapsed())
	return nil
}

// Drained is the end of the drain time: the configurations before the last are gone.
func (h *Host) Drained() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, t := range h.threads() {
		t.drain(max(len(t.plugins)-1, 0))
	}
	h.run(h.time.Elapsed())
}

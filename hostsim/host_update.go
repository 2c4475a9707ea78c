package hostsim

import "fmt"

// Update is a live update of each listener: each plugin of the chain gets the next of configs, and those for which
// there is none keep what they have. As in Envoy, a canary VM tries a new configuration, and each thread's VM gets
// another root context for it, beside its existing ones. New requests go to the new root. The earlier ones keep
// ticking, and answer the requests of connections that are older, which have a Before, until Drained. If a plugin
// refuses its configuration, the error is a *LoadError and the listener stays as it was.
func (h *Host) Update(configs ...string) error {
	defer h.enter("Update")()
	if len(configs) > h.cfg.chain {
		panic(fmt.Sprintf("hostsim: Update with %d configurations for %d plugins", len(configs), h.cfg.chain))
	}
	if !h.runs() {
		return nil
	}
	logged := len(h.Logs())
	for at, p := range h.cfg.plugins {
		if i := at % h.cfg.chain; i >= len(configs) {
			for _, t := range h.threads() {
				t.chain[at].keep()
			}
		} else if msg := h.addConfig(p, []byte(configs[i])); msg != "" {
			for _, t := range h.threads() {
				t.revert(at)
			}
			return h.refused(p, msg, logged)
		}
	}
	h.updates++
	h.run(h.time.Elapsed())
	return nil
}

// Drained ends the drain time: all configurations but the last are removed, and the requests that they still have are
// cut off, since Envoy closes their connections.
func (h *Host) Drained() {
	defer h.enter("Drained")()
	for _, t := range h.threads() {
		t.cut(t.chain, 1, "filter_chain_is_being_removed")
		t.drain(t.chain, 1)
	}
	h.run(h.time.Elapsed())
}

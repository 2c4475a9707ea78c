package maintenance

import (
	"errors"
	"strings"

	"github.com/healthgate/healthgate/filter/lean/ascii"
	"github.com/healthgate/healthgate/filter/lean/json"
	"github.com/healthgate/healthgate/filter/lean/texts"
)

// Entry is one runtime key and its reason, as the operator set them.
type Entry struct {
	Set    bool // false when no layer has the key
	Value  string
	Reason string // the value of KEY.reason
}

// maxText bounds the value and reason that are kept of an entry, in bytes. A longer value ends in an ellipsis, with
// which it says nothing that ParseSwitch knows: it counts as on.
const maxText = 256

var errShape = errors.New("not the JSON of /runtime?format=json")

// Reader picks keys out of Envoy's runtime document.
type Reader struct {
	keys  texts.List
	count int
}

// NewReader returns a Reader for these keys.
func NewReader(keys []string) *Reader {
	r := &Reader{count: len(keys)}
	for _, key := range keys {
		r.keys.Add(key)
	}
	return r
}

// Read returns the entries of the keys, in their order. The document is what Envoy's admin handler
// RuntimeHandler::handlerRuntime writes: {"layers": [...], "entries": {KEY: {"final_value": "...", ...}}}. Keys that
// are not the Reader's cost no memory.
func (r *Reader) Read(document []byte) ([]Entry, error) {
	root, err := json.Parse(document)
	if err != nil {
		return nil, errShape
	}
	entries := root.Member("entries")
	if entries.Kind() != json.Object {
		return nil, errShape
	}
	out := make([]Entry, r.count)
	for w := entries.Walk(); w.Next(); {
		key, _ := w.Name.Text()
		i, j := r.keys.Find(key), -1
		if of, is := strings.CutSuffix(key, ".reason"); is {
			j = r.keys.Find(of)
		}
		if i < 0 && j < 0 {
			continue
		}
		value := w.Value.Member("final_value")
		if value == "" {
			return nil, errShape // Envoy never writes it, and what it would mean is not known
		}
		if i >= 0 {
			out[i].Set, out[i].Value = true, text(value)
		}
		if j >= 0 {
			out[j].Reason = text(value)
		}
	}
	return out, nil
}

// text returns a copy, so that the document is not kept in memory. Where there is no text, which Envoy never writes,
// it is the JSON that stands in its place: that a key cannot be read does not make it empty, which would be off.
func text(value json.Value) string {
	s, _ := value.Text()
	if value.Kind() != json.String {
		s = string(value)
	}
	return strings.Clone(ascii.Shorten(s, maxText))
}

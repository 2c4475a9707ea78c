package maintenance

import (
	"errors"

	"github.com/valyala/fastjson"
)

// Entry is one runtime key and its reason, as the operator set them.
type Entry struct {
	Set    bool // false when no layer has the key
	Value  string
	Reason string // the value of KEY.reason
}

// maxText bounds the value and reason that are kept of an entry; both are for people to read.
const maxText = 256

var errShape = errors.New("not the JSON of /runtime?format=json")

// Reader picks keys out of Envoy's runtime document. It keeps its parser's memory, so that polling again and again
// costs little. Not for use by several goroutines.
type Reader struct {
	parser fastjson.Parser
	values map[string]int // index of the entry whose value this key is
	reason map[string]int // index of the entry whose reason this key is
	count  int
}

// NewReader returns a Reader for these keys.
func NewReader(keys []string) *Reader {
	r := &Reader{values: map[string]int{}, reason: map[string]int{}, count: len(keys)}
	for i, key := range keys {
		r.values[key] = i
		r.reason[key+".reason"] = i
	}
	return r
}

// Read returns the entries of the keys, in their order. The document is what Envoy's admin handler
// RuntimeHandler::handlerRuntime writes: {"layers": [...], "entries": {KEY: {"final_value": "...", ...}}}.
func (r *Reader) Read(document []byte) ([]Entry, error) {
	root, err := r.parser.ParseBytes(document)
	if err != nil {
		return nil, errShape
	}
	entries := root.GetObject("entries")
	if entries == nil {
		return nil, errShape
	}
	out := make([]Entry, r.count)
	entries.Visit(func(key []byte, v *fastjson.Value) {
		i, isValue := r.values[string(key)]
		if isValue {
			out[i].Set, out[i].Value = true, text(v)
		}
		if i, isReason := r.reason[string(key)]; isReason {
			out[i].Reason = text(v)
		}
	})
	return out, nil
}

func text(v *fastjson.Value) string {
	s := v.GetStringBytes("final_value")
	if len(s) > maxText {
		s = s[:maxText]
	}
	return string(s)
}

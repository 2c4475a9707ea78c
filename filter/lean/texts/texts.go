// Package texts finds texts in a list: what the plugin needs of maps, without the code that TinyGo has for all of their
// kinds.
package texts

// List is a list of texts, each once. The zero value is empty.
type List struct {
	texts []string
	slots []int // a text's place in the list and 1, where its hash says or behind it; 0: none
}

// Add returns a text's place in the list, and puts it at the end if it is new.
func (l *List) Add(text string) (at int, isNew bool) {
	if 2*len(l.texts) >= len(l.slots) {
		l.slots = make([]int, 4*len(l.texts)+8)
		for i, t := range l.texts {
			*l.slot(t) = i + 1
		}
	}
	slot := l.slot(text)
	if isNew = *slot == 0; isNew {
		l.texts = append(l.texts, text)
		*slot = len(l.texts)
	}
	return *slot - 1, isNew
}

// Find returns a text's place in the list, -1 if it is not there. It allocates nothing.
func (l *List) Find(text string) int {
	if len(l.slots) == 0 {
		return -1
	}
	return *l.slot(text) - 1
}

// slot returns where a text's place is noted, or would be.
func (l *List) slot(text string) *int {
	hash := uint32(2166136261) // FNV-1a
	for i := 0; i < len(text); i++ {
		hash = (hash ^ uint32(text[i])) * 16777619
	}
	for {
		slot := &l.slots[hash%uint32(len(l.slots))]
		if *slot == 0 || l.texts[*slot-1] == text {
			return slot
		}
		hash++
	}
}

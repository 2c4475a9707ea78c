package texts

import (
	"math/rand/v2"
	"strconv"
	"testing"
)

func TestLikeMap(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 1))
	for _, texts := range []int{1, 2, 10, 1000} {
		var x List
		places := map[string]int{}
		if x.Find("") != -1 {
			t.Error("an empty list has a text")
		}
		for range 3 * texts {
			text := strconv.Itoa(r.IntN(texts))
			at, isNew := x.Add(text)
			want, known := places[text]
			if !known {
				want = len(places)
				places[text] = want
			}
			if at != want || isNew == known {
				t.Fatalf("%q: %d, %v, want %d, %v", text, at, isNew, want, !known)
			}
		}
		for i := range texts + 3 {
			want, known := places[strconv.Itoa(i)]
			if !known {
				want = -1
			}
			if got := x.Find(strconv.Itoa(i)); got != want {
				t.Errorf("%d: %d, want %d", i, got, want)
			}
		}
	}
}

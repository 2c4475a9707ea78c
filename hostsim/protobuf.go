package hostsim

import "encoding/binary"

// pbFields reads the length-delimited fields of a message. The last of repeated fields counts.
func pbFields(b []byte) (map[int]string, bool) {
	fields, _, ok := pbParse(b)
	return fields, ok
}

// pbParse is pbFields with the fields that are integers or booleans.
func pbParse(b []byte) (fields map[int]string, numbers map[int]uint64, ok bool) {
	fields, numbers = make(map[int]string), make(map[int]uint64)
	for len(b) > 0 {
		tag, n := binary.Uvarint(b)
		if n <= 0 || tag>>3 == 0 || tag>>3 > 1<<29-1 {
			return nil, nil, false
		}
		b = b[n:]
		skip := 0
		switch tag & 7 {
		case 0:
			x, n := binary.Uvarint(b)
			if n <= 0 {
				return nil, nil, false
			}
			numbers[int(tag>>3)], skip = x, n
		case 1:
			skip = 8
		case 2:
			size, n := binary.Uvarint(b)
			if n <= 0 || size > uint64(len(b)-n) {
				return nil, nil, false
			}
			fields[int(tag>>3)] = string(b[n : n+int(size)])
			skip = n + int(size)
		case 5:
			skip = 4
		default:
			return nil, nil, false
		}
		if skip > len(b) {
			return nil, nil, false
		}
		b = b[skip:]
	}
	return fields, numbers, true
}

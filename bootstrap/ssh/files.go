package ssh

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/gantry-run/gantry/bootstrap/host"
)

// newSuffix marks a file that is being written; a leftover is overwritten.
const newSuffix = host.NewSuffix

// Programs are started once for all files, not once for each: on a host that does
// little else, a plan is felt by the processes that it starts.

// What is read is between two descriptions of the files. Where they are the same,
// each file is as it was at one moment.
const readScript = `for f; do shift; [ ! -f "$f" ] || set -- "$@" "$f"; done
describe() { stat -L -c '%s %i %.9Z %n' "$@"; }
[ $# = 0 ] || { describe "$@" && echo && cat "$@" && describe "$@"; }`

// readAttempts is how often files are read that change all the time.
const readAttempts = 5

// ReadFiles reads all the files in one round trip. What it read is never logged.
func (h *Host) ReadFiles(ctx context.Context, paths ...string) (map[string][]byte, error) {
	c := host.Shell("read-files", readScript, paths...)
	c.Secret = true
	for range readAttempts {
		out, err := h.Run(ctx, c)
		if err != nil {
			return nil, err
		}
		files, unchanged, err := parseFiles(out)
		if err != nil {
			return nil, fmt.Errorf("%s: read files: %w", h.name, err)
		}
		if unchanged {
			return files, nil
		}
	}
	return nil, fmt.Errorf("%s: read files: they changed while they were read, %d times: %s", h.name, readAttempts, strings.Join(paths, ", "))
}

// parseFiles returns what readScript printed. Unchanged is false where files were
// replaced meanwhile.
func parseFiles(out []byte) (files map[string][]byte, unchanged bool, err error) {
	files = map[string][]byte{}
	if len(out) == 0 {
		return files, true, nil
	}
	before, rest, ok := bytes.Cut(out, []byte("\n\n"))
	if !ok {
		return nil, false, errors.New("the descriptions have no end")
	}
	for line := range strings.Lines(string(before)) {
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 4)
		if len(f) < 4 {
			return nil, false, fmt.Errorf("unexpected line %q", line)
		}
		size, err := strconv.Atoi(f[0])
		if err != nil || size < 0 {
			return nil, false, fmt.Errorf("unexpected line %q", line)
		}
		if size > len(rest) {
			return nil, false, nil
		}
		files[f[3]], rest = rest[:size:size], rest[size:]
	}
	return files, bytes.Equal(bytes.TrimSuffix(rest, []byte("\n")), before), nil
}

// largeFile is the size from which on the SHA-256 of a file is kept on the host. It
// is in a directory that no reboot survives, with the times and the inode that it
// was true for: a program of 100 MB is not read again by each plan. A change of
// content always changes ctime, which nobody can set.
const largeFile = 1_000_000

const statScript = `kept=$1 large=$2; shift 2
for f; do shift; [ ! -e "$f" ] || set -- "$@" "$f"; done
[ $# -gt 0 ] || exit 0
stats=$(stat -L -c 'stat %f %s.%i.%.9Y.%.9Z %n' "$@") || exit 1
printf '%s\n' "$stats"
set --
while read -r _ mode key path; do
  case $mode in 8*) [ "${key%%.*}" -ge "$large" ] || set -- "$@" "$path" ;; esac
done <<END
$stats
END
[ $# = 0 ] || sha256sum "$@" || exit 1
[ -d "$kept" ] || exit 0
for f in "$kept"/*; do [ ! -f "$f" ] || ! read -r key sum <"$f" || echo "kept $key $sum"; done`

// sumScript takes triples: a large file, its key, and the name under which its sum
// is kept. What cannot be kept is read again the next time.
const sumScript = `kept=$1; shift
while [ $# -gt 2 ]; do
  sum=$(sha256sum <"$1") || exit 1; sum=${sum%% *}
  echo "$sum"
  [ ! -d "${kept%/*}" ] || { mkdir -p -m 0700 "$kept" && echo "$2 $sum" >"$kept/$3"; }
  shift 3
done; true`

// Stat describes all the paths in one round trip, and in a second one where there
// are large files whose sums nobody has kept.
func (h *Host) Stat(ctx context.Context, paths ...string) (map[string]host.FileInfo, error) {
	out, err := h.Run(ctx, host.Shell("stat-files", statScript, append([]string{h.sums, strconv.Itoa(largeFile)}, paths...)...))
	if err != nil {
		return nil, err
	}
	seen, err := parseStats(out)
	if err != nil {
		return nil, fmt.Errorf("%s: stat files: %w", h.name, err)
	}
	unknown, args := seen.unknown(), []string{h.sums}
	for _, path := range unknown {
		args = append(args, path, seen.keys[path], strings.ReplaceAll(path, "/", "_"))
	}
	if len(unknown) == 0 {
		return seen.infos, nil
	}
	out, err = h.Run(ctx, host.Shell("sum-files", sumScript, args...))
	if err != nil {
		return nil, err
	}
	sums := strings.Fields(string(out))
	if len(sums) != len(unknown) {
		return nil, fmt.Errorf("%s: sum files: %d sums of %d files", h.name, len(sums), len(unknown))
	}
	for i, path := range unknown {
		seen.set(path, sums[i])
	}
	return seen.infos, nil
}

// stats is what statScript told.
type stats struct {
	infos map[string]host.FileInfo
	// keys are of the regular files: what a kept sum is true for.
	keys map[string]string
}

func (s stats) set(path, sum string) {
	info := s.infos[path]
	info.SHA256 = sum
	s.infos[path] = info
}

// unknown are the regular files without a sum, in order.
func (s stats) unknown() []string {
	var out []string
	for _, path := range slices.Sorted(maps.Keys(s.keys)) {
		if s.infos[path].SHA256 == "" {
			out = append(out, path)
		}
	}
	return out
}

func parseStats(out []byte) (stats, error) {
	s, kept := stats{map[string]host.FileInfo{}, map[string]string{}}, map[string]string{}
	for line := range strings.Lines(string(out)) {
		line = strings.TrimSuffix(line, "\n")
		kind, rest, _ := strings.Cut(line, " ")
		switch kind {
		case "stat":
			if err := s.parse(rest); err != nil {
				return stats{}, fmt.Errorf("unexpected line %q: %w", line, err)
			}
		case "kept":
			key, sum, _ := strings.Cut(rest, " ")
			kept[key] = sum
		default:
			path := strings.TrimPrefix(rest, " ")
			if _, ok := s.keys[path]; !ok || len(kind) != 2*sha256.Size {
				return stats{}, fmt.Errorf("unexpected line %q", line)
			}
			s.set(path, kind)
		}
	}
	for path, key := range s.keys {
		if sum := kept[key]; len(sum) == 2*sha256.Size && s.infos[path].Size >= largeFile {
			s.set(path, sum)
		}
	}
	return s, nil
}

// parse reads a line: the mode in hexadecimal, the key, which begins with the size,
// and the path.
func (s stats) parse(line string) error {
	f := strings.SplitN(line, " ", 3)
	if len(f) < 3 {
		return errors.New("it is too short")
	}
	mode, errMode := strconv.ParseUint(f[0], 16, 32)
	digits, _, _ := strings.Cut(f[1], ".")
	size, errSize := strconv.ParseInt(digits, 10, 64)
	if err := errors.Join(errMode, errSize); err != nil {
		return err
	}
	info := host.FileInfo{Mode: fs.FileMode(mode & 0o777), Size: size}
	const typeMask, directory, regular = 0xf000, 0x4000, 0x8000
	switch mode & typeMask {
	case directory:
		info.Mode |= fs.ModeDir
	case regular:
		s.keys[f[2]] = f[1]
	}
	s.infos[f[2]] = info
	return nil
}

// Each line of the input is the content of the file that the next two arguments
// name, with its mode. A last line says that it is the whole input: to the script
// a cut connection looks like the end of file. All contents are on disk before the
// first file is replaced, and so are all names before it ends. A full disk is given back what was written. A file that its
// group reads stays that group's.
const writeScript = `umask 077
stage() { while [ $# -gt 0 ]; do
  read -r data || exit 1
  printf %s "$data" | base64 -d >"$2` + newSuffix + `" && chmod "$1" "$2` + newSuffix + `" || return 1
  case $1 in 0640) [ ! -e "$2" ] || chgrp "$(stat -c %g "$2")" "$2` + newSuffix + `" || return 1 ;; esac
  shift 2
done; }
drop() { while [ $# -gt 0 ]; do rm -f "$2` + newSuffix + `"; shift 2; done; exit 1; }
stage "$@" || drop "$@"
n=$#; while [ $n -gt 0 ]; do set -- "$@" "$2"; shift 2; n=$((n-2)); done
read -r data && [ "$data" = end ] || exit 1
for f; do set -- "$@" "$f` + newSuffix + `"; shift; done; sync "$@" || exit 1
for f; do mv -fT "$f" "${f%` + newSuffix + `}" || exit 1; set -- "$@" "${f%/*}"; shift; done; sync "$@"`

// WriteFiles replaces small files in one round trip.
func (h *Host) WriteFiles(ctx context.Context, files ...host.File) error {
	if len(files) == 0 {
		return nil
	}
	var input bytes.Buffer
	var args, paths []string
	for _, f := range files {
		args, paths = append(args, octal(f.Mode), f.Path), append(paths, f.Path)
		input.WriteString(base64.StdEncoding.EncodeToString(f.Data) + "\n")
	}
	input.WriteString("end\n")
	c := host.Shell("write-files", writeScript, args...)
	c.Stdin, c.Secret = input.Bytes(), true
	if _, err := h.Run(ctx, c); err != nil {
		return fmt.Errorf("write %s: %w", strings.Join(paths, ", "), err)
	}
	return nil
}

func octal(mode fs.FileMode) string { return fmt.Sprintf("%04o", mode.Perm()) }

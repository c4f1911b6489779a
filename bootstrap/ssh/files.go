package ssh

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/gantry-run/gantry/bootstrap/host"
)

// newSuffix marks a file that is being written; a leftover is overwritten.
const newSuffix = ".gantry-new"

const readScript = `i=0; for f; do if [ -f "$f" ]; then echo "$i $(base64 -w0 <"$f")" || exit 1; fi; i=$((i+1)); done`

// ReadFiles reads all the files in one round trip. What it read is never logged.
func (h *Host) ReadFiles(ctx context.Context, paths ...string) (map[string][]byte, error) {
	out, err := h.Run(ctx, host.Command{Argv: host.Shell("read-files", readScript, paths...).Argv, Secret: true})
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	err = eachLine(out, func(fields []string) error {
		path, err := indexed(paths, fields[0])
		if err != nil {
			return err
		}
		encoded := ""
		if len(fields) > 1 {
			encoded = fields[1]
		}
		files[path], err = base64.StdEncoding.DecodeString(encoded)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("%s: read files: %w", h.name, err)
	}
	return files, nil
}

// The sum of a large file is kept in a directory that no reboot survives, with the
// times and the inode that it was true for: a program of 100 MB is not read again
// by each plan. A change of content always changes ctime, which nobody can set.
const statScript = `cache=$1; shift
sum() {
  case "$cache" in ?*) ;; *) sha256sum <"$1"; return ;; esac
  key=$(stat -L -c '%s.%i.%.9Y.%.9Z' "$1") || return 1
  if [ "${key%%.*}" -lt 1000000 ] || ! [ -d "${cache%/*}" ]; then sha256sum <"$1"; return; fi
  kept=$cache/$(printf %s "$1" | tr / _)
  if [ -f "$kept" ] && read -r k s <"$kept" && [ "$k" = "$key" ]; then echo "$s"; return; fi
  s=$(sha256sum <"$1") || return 1
  mkdir -p -m 0700 "$cache" && echo "$key ${s%% *}" >"$kept"
  echo "$s"
}
i=0; for f; do
if [ -e "$f" ]; then
  sum=-; if [ -f "$f" ]; then sum=$(sum "$f") || exit 1; fi
  echo "$i $(stat -L -c '%f %s' "$f") $sum"
fi; i=$((i+1)); done`

// Stat describes all the paths in one round trip.
func (h *Host) Stat(ctx context.Context, paths ...string) (map[string]host.FileInfo, error) {
	out, err := h.Run(ctx, host.Shell("stat-files", statScript, append([]string{h.sums}, paths...)...))
	if err != nil {
		return nil, err
	}
	infos := map[string]host.FileInfo{}
	err = eachLine(out, func(fields []string) error {
		if len(fields) < 4 {
			return fmt.Errorf("unexpected line %q", strings.Join(fields, " "))
		}
		path, errPath := indexed(paths, fields[0])
		mode, errMode := strconv.ParseUint(fields[1], 16, 32)
		size, errSize := strconv.ParseInt(fields[2], 10, 64)
		for _, err := range []error{errPath, errMode, errSize} {
			if err != nil {
				return err
			}
		}
		info := host.FileInfo{Mode: fs.FileMode(mode & 0o777), Size: size}
		const typeMask, directory = 0xf000, 0x4000
		if mode&typeMask == directory {
			info.Mode |= fs.ModeDir
		} else {
			info.SHA256 = strings.Trim(fields[3], "-")
		}
		infos[path] = info
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("%s: stat files: %w", h.name, err)
	}
	return infos, nil
}

// Each line of the input is the content of the file that the next two arguments
// name, with its mode. A last line says that it is the whole input: to the script
// a cut connection looks like the end of file. All contents are on disk before the
// first file is replaced.
const writeScript = `umask 077; n=$#
while [ $n -gt 0 ]; do
  mode=$1 path=$2; shift 2; n=$((n-2)); set -- "$@" "$path"
  read -r data && printf %s "$data" | base64 -d >"$path` + newSuffix + `" && chmod "$mode" "$path` + newSuffix + `" || exit 1
done
read -r data && [ "$data" = end ] || exit 1
for f; do set -- "$@" "$f` + newSuffix + `"; shift; done; sync "$@" || exit 1
for f; do mv -fT "$f" "${f%` + newSuffix + `}" || exit 1; done`

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

func indexed(paths []string, s string) (string, error) {
	i, err := strconv.Atoi(s)
	if err != nil || i < 0 || i >= len(paths) {
		return "", fmt.Errorf("unexpected index %q", s)
	}
	return paths[i], nil
}

func eachLine(out []byte, f func(fields []string) error) error {
	s := bufio.NewScanner(bytes.NewReader(out))
	s.Buffer(nil, len(out)+1)
	for s.Scan() {
		if fields := strings.Fields(s.Text()); len(fields) > 0 {
			if err := f(fields); err != nil {
				return err
			}
		}
	}
	return s.Err()
}

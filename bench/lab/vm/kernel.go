package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// metaPackages are the packages that depend on the newest kernel, on Debian
// and on Ubuntu.
var metaPackages = []string{"linux-image-amd64", "linux-image-generic"}

// bootModules are what it takes to reach the host's files and streams; their
// dependencies come on top. One that is built in is left out.
var bootModules = []string{"virtio_pci", "virtio_console", "9p", "9pnet_virtio", "overlay"}

// kernel is an unpacked kernel package.
type kernel struct {
	image   string   // path of the kernel
	modules string   // path of its lib/modules/VERSION
	boot    []string // paths of bootModules and their dependencies, in loading order
}

// fetchKernel returns the kernel in the cache folder, after getting it from
// the distribution if there is none yet.
func fetchKernel(ctx context.Context, cache string) (kernel, error) {
	dir := filepath.Join(cache, "kernel")
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		if err := downloadKernel(ctx, cache, dir); err != nil {
			return kernel{}, fmt.Errorf("fetch kernel: %w", err)
		}
	}
	k, err := openKernel(dir)
	if err != nil {
		return kernel{}, fmt.Errorf("kernel in %s: %w", dir, err)
	}
	return k, nil
}

// downloadKernel makes dir whole or not at all: it may be interrupted, and run
// twice at a time.
func downloadKernel(ctx context.Context, cache, dir string) error {
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(cache, "kernel-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	packages, err := kernelPackages(ctx)
	if err != nil {
		return err
	}
	if _, err := output(ctx, tmp, "apt-get", append([]string{"-q", "download"}, packages...)...); err != nil {
		return err
	}
	debs, err := filepath.Glob(filepath.Join(tmp, "*.deb"))
	if err != nil {
		return err
	}
	root := filepath.Join(tmp, "root")
	for _, deb := range debs {
		if _, err := output(ctx, tmp, "dpkg-deb", "-x", deb, root); err != nil {
			return err
		}
	}
	if err := indexModules(ctx, root); err != nil {
		return err
	}
	if err := os.Rename(root, dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// kernelPackages resolves the distribution's meta package to the packages that
// hold the kernel and its modules.
func kernelPackages(ctx context.Context) ([]string, error) {
	var errs []error
	for _, meta := range metaPackages {
		found, err := kernelDepends(ctx, meta)
		for i := 0; err == nil && i < len(found); i++ {
			var more []string
			more, err = kernelDepends(ctx, found[i])
			found = append(found, slices.DeleteFunc(more, func(p string) bool { return slices.Contains(found, p) })...)
		}
		if err == nil && len(found) > 0 {
			return found, nil
		}
		errs = append(errs, err)
	}
	return nil, fmt.Errorf("none of %v can be had (apt-get update may help): %w", metaPackages, errors.Join(errs...))
}

// kernelDepends lists the packages with kernel files that a package depends
// on, the first of alternatives only.
func kernelDepends(ctx context.Context, pkg string) ([]string, error) {
	out, err := output(ctx, "", "apt-cache", "depends", "--important", pkg)
	if err != nil {
		return nil, err
	}
	return parseDepends(out), nil
}

// parseDepends reads lines like "  Depends: linux-image-6.1.0-9-amd64"; one
// that begins with "|" has an alternative on the next line.
func parseDepends(out []byte) []string {
	var found []string
	alternative := false
	lines := bufio.NewScanner(bytes.NewReader(out))
	for lines.Scan() {
		field, name, ok := strings.Cut(strings.TrimSpace(lines.Text()), "Depends: ")
		if !ok {
			continue
		}
		if !alternative && (strings.HasPrefix(name, "linux-image-") || strings.HasPrefix(name, "linux-modules-")) {
			found = append(found, name)
		}
		alternative = field == "|"
	}
	return found
}

// indexModules writes modules.dep and its like, which packages leave to their
// installation.
func indexModules(ctx context.Context, root string) error {
	lib := filepath.Join(root, "lib")
	if _, err := os.Stat(lib); errors.Is(err, fs.ErrNotExist) {
		// Where /lib is a link to /usr/lib, so it is in the package.
		if err := os.Symlink("usr/lib", lib); err != nil {
			return err
		}
	}
	version, err := one(filepath.Join(lib, "modules", "*"))
	if err != nil {
		return err
	}
	_, err = output(ctx, "", "depmod", "-b", root, filepath.Base(version))
	return err
}

func openKernel(dir string) (kernel, error) {
	image, err := one(filepath.Join(dir, "boot", "vmlinuz-*"))
	if err != nil {
		return kernel{}, err
	}
	modules, err := one(filepath.Join(dir, "lib", "modules", "*"))
	if err != nil {
		return kernel{}, err
	}
	dep, err := os.ReadFile(filepath.Join(modules, "modules.dep"))
	if err != nil {
		return kernel{}, err
	}
	k := kernel{image: image, modules: modules}
	for _, name := range loadOrder(string(dep), bootModules) {
		k.boot = append(k.boot, filepath.Join(modules, name))
	}
	return k, nil
}

// loadOrder returns the files of the named modules and of what they depend on,
// each once and after what it needs. dep is modules.dep, whose lines list what
// a module needs with the first to be loaded last. Unknown modules, being
// built in, are left out.
func loadOrder(dep string, names []string) []string {
	needs := map[string][]string{} // by module name: the file, then what it needs
	for line := range strings.Lines(dep) {
		file, rest, _ := strings.Cut(line, ":")
		name, _, _ := strings.Cut(filepath.Base(file), ".ko")
		needs[name] = append([]string{file}, strings.Fields(rest)...)
	}
	var order []string
	for _, name := range names {
		for _, file := range slices.Backward(needs[name]) {
			if !slices.Contains(order, file) {
				order = append(order, file)
			}
		}
	}
	return order
}

// one returns the only file that matches the pattern.
func one(pattern string) (string, error) {
	found, err := filepath.Glob(pattern)
	if err != nil {
		return "", err
	}
	if len(found) != 1 {
		return "", fmt.Errorf("%d files are %s, want 1", len(found), pattern)
	}
	return found[0], nil
}

// output runs a command in a folder and returns its standard output.
func output(ctx context.Context, dir, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return out, nil
}

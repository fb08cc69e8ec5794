// Exits with 0 if what was installed follows from package.json, the lock file and the registry alone: then a later build may
// have it as it is. What depends on other files of the source does not. node follows-lock.js LOCKFILE
const fs = require("fs");
const path = require("path");

const own = JSON.parse(fs.readFileSync("package.json", "utf8"));

// Scripts of the source that package managers run when they install.
const hooks = ["preinstall", "install", "postinstall", "prepublish", "preprepare", "prepare", "postprepare", "dependencies",
	"pnpm:devPreinstall"];
const files = ["binding.gyp", ".pnpmfile.cjs", ".pnpmfile.mjs", ".yarn/plugins", ".yarn/patches", "patches"];

// Packages whose scripts fetch or compile their own programs and look at nothing of the source, as those of others may:
// @prisma/client's, say, makes code of the source's schema.
const known = ["@parcel/watcher", "@swc/core", "core-js", "core-js-bundle", "core-js-pure", "es5-ext", "esbuild", "fsevents",
	"protobufjs", "sharp", "unrs-resolver"];
const compiles = /^(node-gyp rebuild|node-gyp-build(-optional-packages)?|prebuild-install \|\| node-gyp rebuild)$/;

function followsLock(lock) {
	const wanted = [own.dependencies, own.devDependencies, own.optionalDependencies, own.peerDependencies, own.overrides,
		own.resolutions, own.pnpm];
	return fs.existsSync(lock)
		&& !own.workspaces
		&& !hooks.some((name) => own.scripts?.[name])
		&& !files.some((name) => fs.existsSync(name))
		&& !wanted.some(namesFiles)
		&& !/^(packages|patchedDependencies|pnpmfile)\b/m.test(text("pnpm-workspace.yaml"))
		&& !/^plugins\b/m.test(text(".yarnrc.yml"))
		&& !/["'@ :](file|link|portal|exec):|"link": true|^ *type: directory|patch:(?!.*builtin<)/m.test(text(lock))
		&& [...packages("node_modules")].every(isKnown);
}

function text(file) {
	return fs.existsSync(file) ? fs.readFileSync(file, "utf8") : "";
}

// Whether a dependency is a folder or a file.
function namesFiles(wanted) {
	if (typeof wanted === "string") return /^(file|link|portal|patch|exec|workspace):|^[.~]{0,2}\//.test(wanted);
	return typeof wanted === "object" && wanted !== null
		&& ("patchedDependencies" in wanted || Object.values(wanted).some(namesFiles));
}

// The folders of all packages.
function* packages(modules) {
	for (const entry of fs.existsSync(modules) ? fs.readdirSync(modules, { withFileTypes: true }) : []) {
		const folder = path.join(modules, entry.name);
		if (!entry.isDirectory()) continue;
		if (entry.name === ".pnpm") {
			for (const stored of fs.readdirSync(folder)) yield* packages(path.join(folder, stored, "node_modules"));
		} else if (entry.name.startsWith("@")) {
			yield* packages(folder);
		} else if (!entry.name.startsWith(".")) {
			yield folder;
			yield* packages(path.join(folder, "node_modules"));
		}
	}
}

// Whether nothing ran when the package was installed, or what looks at nothing of the source.
function isKnown(folder) {
	const { name, scripts } = JSON.parse(text(path.join(folder, "package.json")) || "{}");
	const commands = [scripts?.preinstall, scripts?.install, scripts?.postinstall].filter(Boolean);
	return known.includes(name) || commands.every((command) => compiles.test(command));
}

process.exitCode = followsLock(process.argv[2]) ? 0 : 1;

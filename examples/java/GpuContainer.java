import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * How a JobAgent starts a job's container with the GPUs of one lease and no others, instead of {@code --nv} or
 * {@code --rocm}, which expose every GPU of the vendor.
 *
 * <pre>
 *   java GpuContainer.java LEASE IMAGE COMMAND [ARGUMENT...]     GPUCTL names the binary, APPTAINER the runtime
 * </pre>
 *
 * In JAliEn's Apptainer.containerize() the lines that add --nv, --rocm and the GPU's directories go, {@link #options} and
 * {@link #prepare} come in their place.
 */
public final class GpuContainer {
	private static final String GPUCTL = System.getenv().getOrDefault("GPUCTL", "gpuctl");
	private static final String APPTAINER = System.getenv().getOrDefault("APPTAINER", "apptainer");

	private final String answer;

	/** Asks once; the answer holds for the lease's life on this boot of the node. */
	public GpuContainer(final String lease) throws IOException, InterruptedException {
		answer = run(GPUCTL, "export", "apptainer", "--json", "--lease", lease);
	}

	/** What goes between `apptainer exec -C` and the image. */
	public List<String> options() {
		return strings(member("argv", '[', ']'));
	}

	/** Masks for the inside; what the agent inherited from its slot, and would spoil them, goes. */
	public void prepare(final Map<String, String> environment) {
		environment.keySet().removeAll(strings(member("unset", '[', ']')));
		final List<String> pairs = strings(member("environment", '{', '}'));
		for (int i = 0; i < pairs.size(); i += 2)
			environment.put(pairs.get(i), pairs.get(i + 1));
	}

	/** A session of its own: `apptainer exec -C` makes none, and a payload's `kill -9 0` would end the agent. */
	public ProcessBuilder containerize(final String image, final List<String> command) {
		final List<String> words = new ArrayList<>(List.of("setsid", "--wait", APPTAINER, "exec", "-C"));
		words.addAll(options());
		words.add(image);
		words.addAll(command);
		final ProcessBuilder builder = new ProcessBuilder(words);
		prepare(builder.environment());
		return builder;
	}

	private static String run(final String... command) throws IOException, InterruptedException {
		final Process process = new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start();
		final String text = new String(process.getInputStream().readAllBytes(), "UTF-8");
		final int status = process.waitFor();
		if (status != 0)
			throw new IOException(String.join(" ", command) + " ended with " + status);
		return text;
	}

	// gpuctl prints its JSON in one fixed form, so that an agent without a JSON library can read it. One that has one
	// (JAliEn has json-simple) says getJSONArray("argv") instead of the rest of this file.

	private String member(final String name, final char opening, final char closing) {
		final int start = answer.indexOf(opening, answer.indexOf("\n  \"" + name + "\": "));
		int at = start + 1;
		for (boolean quoted = false; quoted || answer.charAt(at) != closing; ++at) {
			if (answer.charAt(at) == '\\')
				++at;
			else if (answer.charAt(at) == '"')
				quoted = !quoted;
		}
		return answer.substring(start + 1, at);
	}

	private static List<String> strings(final String text) {
		final List<String> found = new ArrayList<>();
		final Matcher matcher = Pattern.compile("\"((?:[^\"\\\\]|\\\\.)*)\"").matcher(text);
		while (matcher.find())
			found.add(unescaped(matcher.group(1)));
		return found;
	}

	private static String unescaped(final String text) {
		final Matcher matcher = Pattern.compile("\\\\(?:u([0-9a-fA-F]{4})|(.))").matcher(text);
		return matcher.replaceAll(each -> Matcher.quoteReplacement(each.group(1) != null
				? String.valueOf((char) Integer.parseInt(each.group(1), 16))
				: escapes(each.group(2).charAt(0))));
	}

	private static String escapes(final char letter) {
		final int at = "nrtbf".indexOf(letter);
		return String.valueOf(at < 0 ? letter : "\n\r\t\b\f".charAt(at));
	}

	public static void main(final String[] arguments) throws IOException, InterruptedException {
		if (arguments.length < 3) {
			System.err.println("usage: GpuContainer LEASE IMAGE COMMAND [ARGUMENT...]");
			System.exit(2);
		}
		final List<String> command = List.of(arguments).subList(2, arguments.length);
		final ProcessBuilder builder = new GpuContainer(arguments[0]).containerize(arguments[1], command);
		System.exit(builder.inheritIO().start().waitFor());
	}
}

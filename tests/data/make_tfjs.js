// Make tests/data/tfjs with TensorFlow.js 4.22: node make_tfjs.js (npm install @tensorflow/tfjs@4.22.0)
// Every model is saved as model.json with its weights in two shards; truth.json holds what each layer
// returns, and of plain LSTM layers the state after every prefix.
const tf = require('@tensorflow/tfjs');
const fs = require('fs');
const path = require('path');

function handler(folder) {
  return {
    save: async (made) => {
      fs.mkdirSync(folder, {recursive: true});
      const data = Buffer.from(made.weightData);
      const half = Math.floor(data.length / 3);
      const names = ['group1-shard1of2.bin', 'group1-shard2of2.bin'];
      fs.writeFileSync(path.join(folder, names[0]), data.slice(0, half));
      fs.writeFileSync(path.join(folder, names[1]), data.slice(half));
      fs.writeFileSync(path.join(folder, 'model.json'), JSON.stringify({
        modelTopology: made.modelTopology, format: made.format, generatedBy: made.generatedBy,
        convertedBy: made.convertedBy,
        weightsManifest: [{paths: ['./' + names[0], names[1]], weights: made.weightSpecs}],
      }));
      return {modelArtifactsInfo: {dateSaved: new Date(), modelTopologyType: 'JSON'}};
    },
  };
}

function drawn(shape, seed) {
  let state = seed;
  const values = [];
  for (let i = 0; i < shape.reduce((a, b) => a * b, 1); i++) {
    state = (state * 1103515245 + 12345) % 2147483648;
    values.push((state / 2147483648 - 0.5) * 1.6);
  }
  return tf.tensor(values, shape);
}

const L = tf.layers;
const cases = {
  masked: () => {
    const m = tf.sequential();
    m.add(L.masking({maskValue: 0, inputShape: [7, 5]}));
    m.add(L.lstm({units: 6, returnSequences: true}));
    m.add(L.gru({units: 4, returnSequences: true, recurrentActivation: 'sigmoid'}));
    m.add(L.simpleRNN({units: 3, returnSequences: true}));
    return m;
  },
  both_ways: () => {
    const m = tf.sequential();
    m.add(L.bidirectional({layer: L.lstm({units: 4, returnSequences: true,
      recurrentActivation: 'sigmoid'}), mergeMode: 'concat', inputShape: [7, 5]}));
    m.add(L.lstm({units: 3, returnSequences: true, goBackwards: true, activation: 'relu'}));
    m.add(L.timeDistributed({layer: L.dense({units: 2})}));
    return m;
  },
  stack_of_cells: () => {
    const x = tf.input({shape: [7, 5]});
    const a = L.rnn({cell: [L.lstmCell({units: 4}), L.lstmCell({units: 3,
      recurrentActivation: 'sigmoid'})], returnSequences: true}).apply(x);
    const b = L.lstm({units: 3, returnSequences: true}).apply(x);
    return tf.model({inputs: x, outputs: L.concatenate().apply([a, b])});
  },
};

async function main() {
  await tf.setBackend('cpu');
  for (const [name, make] of Object.entries(cases)) {
    const model = make();
    let seed = 1;
    model.setWeights(model.getWeights().map((w) => drawn(w.shape, seed++)));
    let x = drawn([3, 7, 5], 99);
    if (name === 'masked') {
      const mask = tf.ones([3, 7, 1]).bufferSync();
      for (const [row, step] of [[1, 5], [1, 6], [2, 2]]) mask.set(0, row, step, 0);
      x = x.mul(mask.toTensor());
    }
    const folder = path.join(__dirname, 'tfjs', name);
    await model.save(handler(folder));
    const truth = {x: x.arraySync(), layers: {}};
    for (const layer of model.layers) {
      const upto = tf.model({inputs: model.inputs, outputs: layer.output});
      truth.layers[layer.name] = upto.predict(x).arraySync();
    }
    fs.writeFileSync(path.join(folder, 'truth.json'), JSON.stringify(truth));
  }
}
main();
